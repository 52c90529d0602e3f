"""`efdn-inspect` as a user meets it: what it prints, refuses, and needs."""

import json
import re
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import onnx
import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.files import sha256_of_file
from efdn.sidecar import read_sidecar
from tests.conftest import VECTORS
from tests.inspecting import engine_with_sidecar, rows, rtx_engine, run_inspect
from tests.test_imports import imported, run_without_heavy

CHECKPOINT = VECTORS / "published_layout.pth"
PARAMETERS = 173_478


def test_an_onnx_file_is_told_with_its_sidecar() -> None:
    result = run_inspect(DEFAULT_ONNX)
    assert (result.code, result.err) == (0, "")
    size = DEFAULT_ONNX.stat().st_size
    assert rows(result.out, str(DEFAULT_ONNX)) == {
        "kind": "ONNX model",
        "size": f"{size:,} bytes ({size / 1e6:.2f} MB)",
        "SHA-256": sha256_of_file(DEFAULT_ONNX),
    }
    model, graph = onnx.load(DEFAULT_ONNX), rows(result.out, "graph")
    (operator, count), *_ = Counter(node.op_type for node in model.graph.node).most_common()
    assert graph["opset"] == str(model.opset_import[0].version)
    assert graph["nodes"].startswith(f"{len(model.graph.node)}: {count} {operator}, ")
    assert graph["input input"] == "float32 batch x 3 x height x width"
    assert graph["output output"] == "float32 batch x 3 x height_x4 x width_x4"
    assert rows(result.out, "metadata in the file")["weights_sha256"] == sha256_of_file(DEFAULT_WEIGHTS)
    assert rows(result.out, "sidecar efdn_x4.onnx.json")["belongs here"].startswith("yes")


def test_json_holds_the_same() -> None:
    result = run_inspect(DEFAULT_ONNX, "--json")
    told = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert (told["kind"], told["file"], told["bytes"]) == ("onnx", str(DEFAULT_ONNX), DEFAULT_ONNX.stat().st_size)
    assert told["sha256"] == sha256_of_file(DEFAULT_ONNX)
    assert told["details"]["operators"]["Conv"] > 100
    assert told["sidecar"] == json.loads(json.dumps(asdict(read_sidecar(DEFAULT_ONNX))))
    assert told["sidecar_matches"] is True
    assert told["warnings"] == told["problems"] == []


@pytest.mark.parametrize(("path", "kind"), [(DEFAULT_WEIGHTS, "safetensors"), (CHECKPOINT, "pytorch")])
def test_weights_are_told_without_a_sidecar(path: Path, kind: str) -> None:
    result = run_inspect(path)
    assert (result.code, result.err) == (0, "")
    assert "  network  " in result.out
    assert "EFDN x4, 45 channels, 12 blocks" in result.out
    assert f"{PARAMETERS:,} learnable" in result.out
    assert f"no sidecar: there is no {path.name}.json beside it" in result.out
    told = json.loads(run_inspect(path, "--json").out)
    assert told["kind"] == kind
    assert told["sidecar"] is None
    assert told["sidecar_matches"] is None


def test_an_ending_that_does_not_fit_is_said() -> None:
    Path("x.onnx").write_bytes(rtx_engine())
    result = run_inspect("x.onnx")
    assert result.code == 0
    assert "named like an ONNX model, it is a TensorRT engine: rename it" in result.out
    Path("x.onnx").rename("x.bin")
    assert "warning" not in run_inspect("x.bin").out


def test_what_a_file_says_cannot_steer_the_terminal() -> None:
    model = onnx.load(DEFAULT_ONNX)
    onnx.helper.set_model_props(model, {"note": "\x1b[31mred\nnext\u202e" + "x" * 5000})
    onnx.save(model, "m.onnx")
    result = run_inspect("m.onnx")
    assert rows(result.out, "metadata")["note"].startswith(r"\x1b[31mred\nnext\u202exxx")
    assert len(result.out) < 3000


def test_an_empty_value_is_seen() -> None:
    model = onnx.load(DEFAULT_ONNX)
    onnx.helper.set_model_props(model, {"keep_fp32": ""})
    onnx.save(model, "m.onnx")
    assert rows(run_inspect("m.onnx").out, "metadata") == {"keep_fp32": "(empty)"}


def broken_files() -> None:
    Path("empty.onnx").touch()
    Path("folder.onnx").mkdir()
    Path("text.onnx").write_text("not a model")
    Path("short.engine").write_bytes(rtx_engine()[:40])
    Path("cut.engine").write_bytes(rtx_engine()[:-1])
    for source, length in ((DEFAULT_ONNX, 500_000), (DEFAULT_WEIGHTS, 500_000), (CHECKPOINT, 500_000)):
        Path(f"cut{source.suffix}").write_bytes(source.read_bytes()[:length])
    Path("head.safetensors").write_bytes(DEFAULT_WEIGHTS.read_bytes()[:1000])
    shutil.make_archive("other", "zip", VECTORS)


BAD_FILES = [
    ("none.onnx", "no file none.onnx: expected weights"),
    ("folder.onnx", "folder.onnx is a folder"),
    ("empty.onnx", "empty.onnx is empty"),
    ("text.onnx", "cannot tell what text.onnx is: .* it begins with b'not a model'"),
    ("short.engine", "cut off: it has 40 bytes, the header alone takes 64"),
    ("cut.engine", "cut off: its header says 164 bytes, it has 163"),
    ("cut.onnx", "begins like an ONNX model, but is broken or cut off: a field of .* past the end"),
    ("cut.safetensors", "cut off: its tensors end at byte [0-9,]+, the file at 500,000"),
    ("head.safetensors", "cut off: its header ends at byte [0-9,]+, the file at 1,000"),
    ("cut.pth", "begins like a PyTorch checkpoint, but is broken or cut off"),
    ("other.zip", "a zip archive without data.pkl"),
    ("n" * 300 + ".onnx", "name too long|no file nnn"),
]


@pytest.mark.parametrize("json_option", [(), ("--json",)])
@pytest.mark.parametrize(("name", "said"), BAD_FILES, ids=[name[:20] for name, _ in BAD_FILES])
def test_a_bad_file_is_one_clear_line(name: str, said: str, json_option: tuple[str, ...]) -> None:
    broken_files()
    result = run_inspect(name, *json_option)
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith("efdn-inspect: ")
    assert re.search(said, result.err), result.err


def test_help_loads_nothing_and_work_needs_no_extra() -> None:
    shown = run_without_heavy("cli.inspection", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--json" in shown.stdout
    assert not {name for name in imported(shown) if name in ("mmap", "numpy", "zipfile", "PIL")}
    engine = engine_with_sidecar(rtx_engine())
    for path in (DEFAULT_ONNX, DEFAULT_WEIGHTS, CHECKPOINT, engine):
        result = run_without_heavy("cli.inspection", path)
        assert result.returncode == 0, result.stderr
        assert sha256_of_file(path) in result.stdout
        # Not even where they are installed.
        assert not imported(result) & {"onnxruntime", "numpy", "PIL", "engines", "export"}
