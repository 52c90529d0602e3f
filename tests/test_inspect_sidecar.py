"""The sidecar in `efdn-inspect`: shown whole, and held against its file."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.files import sha256_of_file
from efdn.sidecar import SCHEMA, read_sidecar, sidecar_path, write_sidecar
from tests.inspecting import SM86, SM89, engine_with_sidecar, make_sidecar, rows, rtx_engine, run_inspect


@pytest.fixture
def model() -> Path:
    """A copy of the packaged graph with its sidecar, to be meddled with."""
    shutil.copy(DEFAULT_ONNX, "model.onnx")
    shutil.copy(sidecar_path(DEFAULT_ONNX), "model.onnx.json")
    return Path("model.onnx")


def test_an_engine_is_told_with_everything_in_its_sidecar() -> None:
    path = engine_with_sidecar(rtx_engine())
    result = run_inspect(path)
    assert (result.code, result.err) == (0, "")
    assert rows(result.out, "read from an undocumented header") == {
        "built by": "TensorRT for RTX 1.7.1.116",
        "runs on": "sm86",
    }
    beside = result.out.split("sidecar x.engine.json")[1]
    for shown in (
        *("yes, the SHA-256 is the same", "engine before_it_was_renamed.engine", "RFDN x4", "0..255", "uint8", "fp16"),
        *("tail/*, body.7/*", "fold_norms, group_channels", "64x72 to 512x520", "opset 19", "ab" * 32),
        *("w.safetensors", "cd" * 32, "parity fold", "max error 1.5e-07 of range", "equal", "difference at most 3"),
        *("finite False", "odd 7", "torch 2.99, onnx 1.88", "14.8 s", "TensorRT for RTX 1.7.1.116", "sm86"),
        *("139 kernels, 98.7% in half precision", "123,456,789 bytes (123.46 MB) moved in one run", "6.2 s"),
    ):
        assert shown in beside


def test_a_sidecar_of_another_file_is_said_and_fails(model: Path) -> None:
    content = json.loads(sidecar_path(model).read_text())
    sidecar_path(model).write_text(json.dumps({**content, "sha256": "12" * 32}))
    result = run_inspect(model)
    assert result.code == 1
    assert result.err.count("\n") == 1
    here = sha256_of_file(DEFAULT_ONNX)
    assert f"model.onnx: the sidecar describes another file: SHA-256 {'12' * 32} there, {here} here" in result.err
    assert "contradicts" not in result.err
    assert rows(result.out, "sidecar")["belongs here"] == f"NO: made for a file of SHA-256 {'12' * 32}"
    assert "nodes" in rows(result.out, "graph")
    as_json = run_inspect(model, "--json")
    assert as_json.code == 1
    assert json.loads(as_json.out)["sidecar_matches"] is False


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("opset", 3, "it says opset 3, the file "),
        ("precision", "fp16", "it says precision fp16, the file fp32"),
        ("architecture", "RFDN", "it says architecture RFDN, the file EFDN"),
        ("scale", 2, "it says scale 2, the file 4"),
        ("io", "uint8", "it says io uint8, the file float32"),
        ("data_range", 1.0, "it says data_range 1, the file 255"),
        ("weights_sha256", "0", f"it says weights_sha256 0, the file {sha256_of_file(DEFAULT_WEIGHTS)}"),
        ("kind", "engine", "it says kind engine, this is onnx"),
    ],
)
def test_a_sidecar_that_says_otherwise_fails(model: Path, name: str, value: Any, said: str) -> None:
    write_sidecar(sidecar_path(model), replace(read_sidecar(DEFAULT_ONNX), **{name: value}))
    result = run_inspect(model)
    assert result.code == 1
    assert f"the sidecar contradicts the file: {said}" in result.err
    assert "describes another file" not in result.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gpu_targets": ("sm86", "sm89")}, "it says sm86, sm89, the header sm86"),
        ({"tensorrt_version": "1.7.2.3"}, "it says version 1.7.2.3, the header 1.7.1.116"),
        ({"runtime": "tensorrt"}, "it says standard TensorRT, the header TensorRT for RTX"),
        ({"tensorrt_version": "1.7.1"}, ""),
        ({"tensorrt_version": "1.7.1.372.post1"}, ""),
    ],
)
def test_an_engine_is_held_against_its_sidecar(change: dict[str, Any], said: str) -> None:
    build = make_sidecar(DEFAULT_ONNX).build
    assert build is not None
    result = run_inspect(engine_with_sidecar(rtx_engine(), build=replace(build, **change)))
    assert result.code == bool(said)
    assert said in result.err
    assert bool(result.err) == bool(said)


def test_a_sidecar_of_the_first_schema_is_shown_too(model: Path) -> None:
    content = json.loads(sidecar_path(model).read_text())
    for name in ("io", "keep_fp32", "passes", "shapes", "graph_sha256"):
        content.pop(name, None)
    content |= {"schema": 1, "shape": {"min": [13, 13], "opt": [256, 256], "max": None}}
    sidecar_path(model).write_text(json.dumps(content))
    result = run_inspect(model)
    assert (result.code, result.err) == (0, "")
    beside = rows(result.out, "sidecar")
    assert beside["shapes"] == "any shape from 13x13"
    assert beside["passes"] == "none named"


def test_all_that_is_wrong_is_said_at_once() -> None:
    result = run_inspect(engine_with_sidecar(rtx_engine(SM86 | SM89), sha256="0"))
    assert result.err.count("\n") == 1
    assert "another file: SHA-256 0 there" in result.err
    assert "it says sm86, the header sm86, sm89" in result.err


def test_an_endless_version_is_another_version() -> None:
    build = make_sidecar(DEFAULT_ONNX).build
    assert build is not None
    result = run_inspect(engine_with_sidecar(rtx_engine(), build=replace(build, tensorrt_version="9" * 5000)))
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "it says version 999" in result.err


def test_a_gpu_that_is_not_known_yet_is_no_contradiction() -> None:
    result = run_inspect(engine_with_sidecar(rtx_engine(SM86 | 0x40)))
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": SCHEMA + 1}, f"schema {SCHEMA + 1}, this version reads up to {SCHEMA}: update efdn"),
        ({"parity": [1]}, "misstates 'parity'"),
        ({"parity": {"fold": 3}}, "misstates 'parity.fold'"),
        ({"tools": None}, "misstates 'tools'"),
        ({"build": {}}, "lacks or misstates 'runtime'"),
        ({"keep_fp32": [1]}, "misstates 'keep_fp32.0'"),
        ({"passes": [None]}, "misstates 'passes.0'"),
        ({"tools": {"onnx": 1}}, "misstates 'tools.onnx'"),
    ],
)
def test_a_sidecar_that_cannot_be_read_is_one_line(model: Path, change: dict[str, Any], said: str) -> None:
    content = json.loads(sidecar_path(model).read_text())
    sidecar_path(model).write_text(json.dumps({**content, **change}))
    result = run_inspect(model)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert said in result.err
    assert "nodes" in rows(result.out, "graph")
    assert "sidecar model.onnx.json: cannot be read" in result.out
    assert json.loads(run_inspect(model, "--json").out)["sidecar_matches"] is None
