"""`efdn-profile` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import cli.profile
from efdn.assets import DEFAULT_ONNX
from engines.profiling import record
from engines.profiling.measure import Settings, measure_shape
from engines.profiling.percentiles import summarize
from engines.profiling.plan import Planned
from engines.worker.client import ROOT, Worker
from engines.worker.subject import Subject
from tests.profiling_fakes import OPENED, Behaviour, Workers

QUICK = ("--seconds", 0.2, "--warm-up", 0, "--threads", 1, "--shape", "16x16")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `efdn-profile` in this process."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["efdn-profile", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.profile.entry()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, out, err)

    return call


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Engines that are fakes, whatever is asked for."""
    found = Workers({name: Behaviour() for name in ("pytorch-published", "onnxruntime-cpu", "pytorch", "auto")})
    monkeypatch.setattr(record, "measure_shape", lambda *a, **options: measure_shape(*a, **{**options, "start": found}))
    return found


def test_a_real_run_agrees_with_its_own_raw_times(command: Command) -> None:
    result = command("-e", "onnxruntime-cpu", *QUICK, "--json", "p.json", "--page", "p.html")
    assert result.code == 0, result.err
    assert result.err.startswith("profiling pytorch-published, onnxruntime-cpu at 16x16 ...\n")
    assert max(map(len, result.out.splitlines())) <= 100
    content = json.loads(Path("p.json").read_text(encoding="utf-8"))
    (shape,) = content["shapes"]
    assert (shape["shape"], shape["reference"]) == ([16, 16], "pytorch-published")
    baseline, engine = shape["engines"]
    assert [baseline["name"], engine["name"]] == ["pytorch-published", "onnxruntime-cpu"]
    assert baseline["difference"] is None
    assert engine["difference"]["grey_levels"] <= 1
    for entry in (baseline, engine):
        for stage, rounds in entry["rounds_ms"].items():
            samples = [time for times in rounds for time in times]
            assert entry["figures_ms"][stage] == summarize(samples).as_json()
        assert set(entry["rounds_ms"]) == {"compute", "infer", "end_to_end"}
        for start in (entry["cold_start"], entry["warm_start"]):
            assert start["open_ms"] + start["first_ms"] < start["total_ms"]
        assert entry["opened"]["detail"] in Path("p.html").read_text(encoding="utf-8")
    for stage in ("compute", "end_to_end"):
        pairs = zip(baseline["rounds_ms"][stage], engine["rounds_ms"][stage], strict=True)
        expected = median(median(theirs) / median(own) for theirs, own in pairs)
        assert engine["times_as_fast"][stage] == pytest.approx(expected, rel=1e-12)
        assert baseline["times_as_fast"][stage] == 1
    assert f"{engine['times_as_fast']['compute']:.2f}x" in result.out
    times = [time for times in engine["rounds_ms"]["end_to_end"] for time in times]
    assert engine["pictures_per_s"] == pytest.approx(1e3 * len(times) / sum(times), rel=1e-12)
    assert engine["output_megapixels_per_s"] == pytest.approx(engine["pictures_per_s"] * 64 * 64 / 1e6, rel=1e-12)


def test_json_on_stdout_is_nothing_but_json(command: Command, workers: Workers) -> None:
    result = command(*QUICK, "--json", "-", "--page", "p.html")
    assert result.code == 0
    content: dict[str, Any] = json.loads(result.out)
    assert content["command"][:3] == ["efdn-profile", "--seconds", "0.2"]
    assert content["schema"] == 1
    assert Path("p.html").exists()
    assert sorted(path.name for path in Path().iterdir()) == ["p.html"]


def test_options_reach_the_engines(command: Command, workers: Workers) -> None:
    arguments = ("-e", "pytorch", "--no-baseline", "--threads", 1, "--batch", 2, "--shape", "16x20", "--shape", "32x13")
    result = command(*arguments, "--seconds", 0.1, "--no-starts", "--json", "p.json")
    assert result.code == 0
    content = json.loads(Path("p.json").read_text(encoding="utf-8"))
    assert [(shape["shape"], shape["batch"]) for shape in content["shapes"]] == [([16, 20], 2), ([32, 13], 2)]
    (engine,) = content["shapes"][0]["engines"]
    assert engine["asked"]["options"]["threads"] == 1
    assert engine["cold_start"] is None
    assert "16x20, 2 at once" in result.out


def test_more_threads_than_cores_are_refused(command: Command, workers: Workers) -> None:
    result = command("-e", "pytorch", *QUICK, "--threads", 9999)
    assert result.code != 0
    assert "threads must be 1 to" in result.err
    assert workers.calls == []


def test_a_baseline_of_nothing_is_not_run(command: Command, workers: Workers) -> None:
    workers.behaviours = {**workers.behaviours, "pytorch": Behaviour(fails="open")}
    result = command("-e", "pytorch", *QUICK)
    assert result.code == 1
    assert set(workers.order("open")) == {"pytorch-published", "pytorch"}
    assert workers.order("run") == []
    assert "PNG" not in result.out


def test_one_failure_is_listed_and_the_others_are_shown(command: Command, workers: Workers) -> None:
    workers.behaviours = {**workers.behaviours, "pytorch": Behaviour(fails="run", after=2)}
    result = command("-e", "pytorch", "-e", "onnxruntime-cpu", *QUICK, "--json", "p.json", "--page", "p.html")
    assert result.code == 1
    assert result.err.splitlines()[-1] == "efdn-profile: 1 of 3 runs failed: pytorch at 16x16: it broke"
    assert "failed: 16x16, pytorch: it broke" in result.out
    assert "onnxruntime-cpu" in result.out
    errors = [entry["error"] for entry in json.loads(Path("p.json").read_text())["shapes"][0]["engines"]]
    assert errors == [None, "it broke", None]
    assert "it broke" in Path("p.html").read_text(encoding="utf-8")


def test_where_all_fail_that_is_said(command: Command, workers: Workers) -> None:
    workers.behaviours = {name: Behaviour(fails="open") for name in workers.behaviours}
    result = command("-e", "pytorch", *QUICK, "--page", "p.html")
    assert result.code == 1
    assert "2 of 2 runs failed" in result.err
    assert "No engine ran." in Path("p.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--shape 5x40", 2, "--shape must be at least 13x13, got 5x40"),
        ("--shape big", 2, "--shape takes HEIGHTxWIDTH"),
        ("--seconds 0", 2, "--seconds must be more than 0, got 0"),
        ("--seconds nan", 2, "--seconds must be more than 0, got nan"),
        ("--warm-up -1", 2, "--warm-up must be at least 0, got -1"),
        ("--batch 0", 2, "--batch must be at least 1, got 0"),
        ("--threads 0", 2, "--threads must be at least 1, got 0"),
        ("--baseline pytorch --no-baseline", 2, "--baseline does not go with --no-baseline"),
        ("--cuda-graph both", 2, "--cuda-graph concerns TensorRT engines"),
        ("-e warp", 2, "no engine 'warp'"),
        ("none.onnx", 1, "no model file none.onnx"),
        ("--json p.txt", 1, "cannot write p.txt: expected a name ending in .json"),
        ("--page -", 1, "cannot write -: expected a name ending in .html or .htm"),
        ("--json - --page -", 1, "cannot write -: expected a name ending in .html or .htm"),
        ("--json none/p.json", 1, "does not exist; create it first"),
        ("--page precious.html", 1, "precious.html exists: give --overwrite"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    command: Command, workers: Workers, arguments: str, code: int, said: str
) -> None:
    Path("precious.html").write_text("precious")
    result = command(*arguments.split())
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert workers.calls == []
    assert Path("precious.html").read_text() == "precious"
    assert len(list(Path().iterdir())) == 1


def test_files_are_replaced_when_told_so(command: Command, workers: Workers) -> None:
    Path("p.json").write_text("old")
    assert command(*QUICK, "--json", "p.json", "--overwrite").code == 0
    assert json.loads(Path("p.json").read_text())["schema"] == 1


def test_layers_that_are_not_told_are_not_passed_over_in_silence(command: Command, workers: Workers) -> None:
    layer = {"name": "body.0/Conv", "kind": "Conv", "ms": 1.5}
    workers.behaviours = {**workers.behaviours, "pytorch": Behaviour(layers=[layer])}
    result = command("-e", "pytorch", *QUICK, "--layers")
    assert "pytorch: the slowest of 1 layers, 1.50 ms together" in result.out
    assert "    1.50  100%  body.0/Conv" in result.out
    assert "pytorch-published does not tell the times of its layers" in result.out


def test_long_names_keep_the_columns_in_their_places(command: Command, workers: Workers) -> None:
    path = Path("a_model_with_a_name_that_is_much_too_long.onnx")
    path.write_bytes(DEFAULT_ONNX.read_bytes())
    result = command(path, DEFAULT_ONNX, "-e", "onnxruntime-cpu", *QUICK, "--no-baseline")
    assert result.code == 0
    lines = result.out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("  engine"))
    assert lines[start + 1] == f"  onnxruntime-cpu {path}"
    ends = {len(lines[start]), len(lines[start + 2])}
    assert len(ends) == 1


def test_what_was_passed_over_by_auto_is_said(command: Command, workers: Workers) -> None:
    from dataclasses import replace

    opened = replace(OPENED, engine="onnxruntime-cpu", passed_over=("onnxruntime-cuda (no CUDA)",))
    workers.behaviours = {**workers.behaviours, "auto": Behaviour(opened=opened)}
    result = command(*QUICK, "--no-baseline")
    assert "onnxruntime-cpu was chosen; passed over onnxruntime-cuda (no CUDA)" in result.out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_an_interruption_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    engine = ["-e", "onnxruntime-cpu", "--no-baseline", "--no-starts", "--seconds", "60", "--shape", "16x16"]
    files = ["--json", str(tmp_path / "p.json"), "--page", str(tmp_path / "p.html")]
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.profile", *engine, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # Shells have their background jobs ignore SIGINT, and what those start inherits it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    process.stderr.readline()
    children = _children_of(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "efdn-profile: interrupted")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    # A process whose start was interrupted ends by itself, once it finds that nobody asks.
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(Path(f"/proc/{child}").exists() for child in children):
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _children_of(pid: int) -> list[str]:
    """Process ids, once there are any; none where the system does not tell."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        return []
    while not (found := path.read_text().split()):
        pass
    return found


def test_help_tells_the_rule_of_the_baseline(command: Command) -> None:
    result = command("--help")
    assert result.code == 0
    assert "pytorch-published: PyTorch eager in FP32" in " ".join(result.out.split())
    assert "[MODEL...]" in result.out
    assert "[[MODEL]" not in result.out


def test_subjects_of_other_interpreters_are_started_there() -> None:
    seen: list[Path | None] = []
    workers = Workers({"auto": Behaviour()})

    def start(python: Path | None, environment: Mapping[str, str]) -> Worker:
        seen.append(python)
        return workers(python, environment)

    planned = Planned(name="a", subject=Subject(engine="auto"), python=Path("other/python"))
    record.run_profile([planned], [(16, 16)], Settings(seconds=0.1, starts=False), start=start)
    assert seen == [Path("other/python")]
