"""`efdn-doctor` as a user meets it."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

import cli.doctor
import engines.doctor.examine
from efdn.assets import DEFAULT_ONNX
from efdn.sidecar import sidecar_path
from engines.registry import ENGINES
from tests.conftest import installed
from tests.inspecting import Result, engine_with_sidecar, rtx_engine
from tests.test_imports import ROOT, WITHOUT_HEAVY, imported, run_without_heavy

# Hides packages in every Python that starts, for engines are tried in processes of their own.
HIDING = """
import sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        hidden = name.split('.')[0] in {'torch', 'onnxruntime', 'onnx', 'tensorrt', 'tensorrt_rtx', 'cuda', 'pycuda',
                                        'safetensors', 'openvino'}
        return None if hidden else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = map(Hiding, sys.meta_path)
"""


def run_doctor(*arguments: object) -> Result:
    """What the command prints, and how it exits."""
    out, err = io.StringIO(), io.StringIO()
    line = patch.object(sys, "argv", ["efdn-doctor", *map(str, arguments)])
    with line, redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        cli.doctor.entry()
    assert "Traceback" not in out.getvalue() + err.getvalue()
    assert isinstance(caught.value.code, int)
    return Result(caught.value.code, out.getvalue(), err.getvalue())


def test_engines_are_run_and_a_file_that_does_not_is_explained() -> None:
    engine_with_sidecar(rtx_engine())
    result = run_doctor("x.engine")
    # Others run, but not all that was asked for.
    assert result.code == 1
    assert result.err == "efdn-doctor: x.engine cannot run here: the reasons stand under engines\n"
    engines = result.out[result.out.index("\nengines\n") :]
    assert "does not run with x.engine: " in engines
    assert "ok       onnxruntime-cpu   runs: ONNX Runtime" in engines
    assert not installed("openvino") or "ok       openvino          runs: OpenVINO" in engines
    assert "efdn-infer photo.jpg" in engines
    assert re.search(r"engines that run here: (openvino|onnxruntime-c)", engines)
    assert "\x1b" not in result.out
    for line in result.out.splitlines():
        assert len(line) <= 100 or "-> " in line
    assert str(Path.home()) not in result.out


def test_json_tells_findings_engines_and_the_way_on() -> None:
    result = run_doctor("--json", "--quick")
    told = json.loads(result.out)
    assert (result.code, told["exit_code"], told["schema"], told["tried"]) == (0, 0, 1, False)
    assert {finding["state"] for finding in told["findings"]} <= {"ok", "note", "problem", "absent"}
    outcomes = {verdict["engine"]: verdict["outcome"] for verdict in told["engines"]}
    assert outcomes["onnxruntime-cpu"] == "ready"
    assert told["versions"]["onnxruntime"]
    assert told["running"]
    assert told["preferred"] in told["running"]
    assert str(Path.home()) not in result.out


def test_a_file_is_tried_on_what_it_takes_and_compared_with_the_packaged_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Others do not take it, and each takes seconds to start.
    readers = tuple(entry for entry in ENGINES if entry.name in ("onnxruntime-cpu", "openvino"))
    monkeypatch.setattr(engines.doctor.examine, "ENGINES", readers)
    shutil.copy(DEFAULT_ONNX, "mine.onnx")
    shutil.copy(sidecar_path(DEFAULT_ONNX), "mine.onnx.json")
    told = json.loads(run_doctor("mine.onnx", "--json").out)
    (verdict,) = (
        entry for entry in told["engines"] if (entry["engine"], entry["model"]) == ("onnxruntime-cpu", "mine.onnx")
    )
    assert (verdict["outcome"], verdict["levels"]) == ("runs", 0)
    assert told["preferred"].endswith("(mine.onnx)")
    assert told["next"] == ["efdn-infer photo.jpg --model mine.onnx"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.onnx"], 1, "no model file missing.onnx"),
        (["--quick", "missing.onnx"], 2, "--quick runs nothing"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: list[str], code: int, said: str) -> None:
    result = run_doctor(*arguments)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert result.err.count("\n") == 1


def test_help_loads_little() -> None:
    result = run_without_heavy("cli.doctor", "--help")
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout
    assert not imported(result) & {"numpy", "PIL", "onnxruntime", "engines", "export"}


def test_nothing_heavy_is_imported_into_the_command_itself() -> None:
    program = WITHOUT_HEAVY.replace("hidden = ", "hidden = False and ")
    line = [sys.executable, "-c", program, "cli.doctor", "--quick"]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not imported(result) & {"torch", "onnx", "onnxruntime", "openvino", "tensorrt_rtx", "cuda"}


@pytest.mark.skipif(installed("sitecustomize"), reason="this Python has a sitecustomize of its own")
def test_where_nothing_is_installed_the_way_out_is_shown(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    line = [sys.executable, "-m", "cli.doctor"]
    result = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("efdn-doctor: no engine can run here: ")
    assert "pip install" in result.stderr
    assert "engines that run here: none" in result.stdout
    assert "onnxruntime-cpu   does not run: onnxruntime is not installed" in result.stdout
