"""Engines built from ONNX files that were exported elsewhere."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.export import entry
from efdn.assets import DEFAULT_ONNX
from efdn.errors import ArtefactError, ExportError, UsageError
from efdn.files import sha256_of_file
from efdn.shapes import ShapeRange
from efdn.sidecar import Sidecar, read_sidecar, sidecar_path, write_sidecar
from engines.trt.preflight import read_described
from export.engine_from_onnx import build_from_onnx
from export.plan import Plan
from export.trt_builders import BuildRequest, BuiltEngine, RtxBuilder
from tests.test_imports import run_without_heavy
from tests.test_sidecar import make_sidecar

MODEL, ENGINE = Path("model.onnx"), Path("model.engine")
STATIC = ShapeRange(min=(64, 48), opt=(64, 48), max=(64, 48))
ANY = ShapeRange(min=(13, 13), opt=(256, 256), max=None)


class FakeBuilder:
    """Notes what it is asked to build."""

    runtime, usual_targets = "tensorrt", False
    targets: tuple[str, ...] = ("sm90",)

    def __init__(self, *, opset_limit: int | None = None, half_share: float = 1.0) -> None:
        self.opset_limit: int | None = opset_limit
        self.requests: list[BuildRequest] = []
        self._half_share = half_share

    def build(self, request: BuildRequest, progress: Any) -> BuiltEngine:
        self.requests.append(request)
        plan: Any = SimpleNamespace(kernels=(1, 2), half_share=self._half_share, bytes_moved=12)
        return BuiltEngine(content=b"an engine", plan=plan, version="8.6.0", gpu_targets=self.targets, seconds=1.0)


def write_model(shape: ShapeRange = STATIC, **changes: Any) -> Sidecar:
    MODEL.write_bytes(b"a graph")
    values = {"kind": "onnx", "build": None, "file": MODEL.name, "sha256": sha256_of_file(MODEL), "opset": 17}
    sidecar = make_sidecar(**{**values, "shapes": (shape,), "io": "uint8", **changes})
    write_sidecar(sidecar_path(MODEL), sidecar)
    return sidecar


def test_a_static_file_says_all_there_is_to_know() -> None:
    described, builder = write_model(), FakeBuilder()
    done = build_from_onnx(MODEL, ENGINE, builder=builder)
    (request,) = builder.requests
    assert (request.graph, request.shapes, request.precision.value, request.io.value) == (
        b"a graph",
        (STATIC,),
        "fp16",
        "uint8",
    )
    plan, sidecar = read_described(ENGINE)
    assert plan == b"an engine"
    assert sidecar == done.sidecar
    assert sidecar.graph_sha256 == described.sha256
    assert sidecar.parity == described.parity
    assert sidecar.build is not None
    assert (sidecar.build.runtime, sidecar.build.tensorrt_version, sidecar.build.gpu_targets) == (
        "tensorrt",
        "8.6.0",
        ("sm90",),
    )


def test_a_dynamic_file_needs_shapes_and_takes_batches() -> None:
    write_model(ANY)
    builder = FakeBuilder()
    with pytest.raises(UsageError, match=r"takes any shape from 13x13: give --shape"):
        build_from_onnx(MODEL, ENGINE, builder=builder)
    small = ShapeRange(min=(64, 12), opt=(64, 48), max=(64, 48))
    with pytest.raises(UsageError, match=r"takes any shape from 13x13, got 64x12: ask for larger shapes"):
        build_from_onnx(MODEL, ENGINE, builder=builder, shapes=(small,))
    done = build_from_onnx(MODEL, ENGINE, builder=builder, shapes=(STATIC,), batch=4)
    assert (builder.requests[0].batch, builder.requests[0].static) == (4, False)
    assert (done.sidecar.batch, done.sidecar.shapes) == (4, (STATIC,))


@pytest.mark.parametrize("asked", [{"shapes": (ANY,)}, {"batch": 2}])
def test_a_static_file_takes_nothing_else(asked: dict[str, Any]) -> None:
    write_model()
    with pytest.raises(UsageError, match="takes one picture of 64x48 and nothing else"):
        build_from_onnx(MODEL, ENGINE, builder=FakeBuilder(), **asked)


def test_an_opset_that_the_builder_cannot_read_is_said_before_building() -> None:
    write_model(opset=20)
    builder = FakeBuilder(opset_limit=17)
    with pytest.raises(ExportError, match=r"up to opset 17, model\.onnx has 20: export it with --opset 17"):
        build_from_onnx(MODEL, ENGINE, builder=builder)
    assert builder.requests == []


def test_an_engine_without_half_precision_is_not_written() -> None:
    write_model()
    with pytest.raises(ExportError, match="fp16"):
        build_from_onnx(MODEL, ENGINE, builder=FakeBuilder(half_share=0.0))
    assert sorted(path.name for path in Path().iterdir()) == ["model.onnx", "model.onnx.json"]


@pytest.mark.parametrize("damage", ["content", "sidecar", "kind"])
def test_a_file_without_a_sidecar_of_its_own_is_refused(damage: str) -> None:
    sidecar = write_model()
    if damage == "content":
        MODEL.write_bytes(b"another graph")
    elif damage == "sidecar":
        sidecar_path(MODEL).unlink()
    else:
        write_sidecar(sidecar_path(MODEL), dataclasses.replace(sidecar, kind="engine"))
    with pytest.raises(ArtefactError):
        build_from_onnx(MODEL, ENGINE, builder=FakeBuilder())


@pytest.mark.tensorrt
@pytest.mark.slow
def test_the_packaged_graph_builds_for_rtx() -> None:
    side = ShapeRange(min=(32, 32), opt=(32, 32), max=(32, 32))
    done = build_from_onnx(DEFAULT_ONNX, builder=RtxBuilder(("sm86",)), shapes=(side,), batch=2)
    target = Path("efdn_x4_rtx.engine")
    assert read_sidecar(target) == done.sidecar
    assert isinstance(done.plan, Plan)
    assert done.sidecar.precision == "fp32"
    assert len(done.plan.kernels) > 50


@pytest.mark.tensorrt
def test_the_command_needs_neither_pytorch_nor_onnx() -> None:
    write_model(ANY)
    result = run_without_heavy("cli.export", "trt", "--onnx", MODEL)
    assert result.returncode == 2 or "needs tensorrt_rtx" in result.stderr
    assert "torch" not in result.stderr


@pytest.mark.tensorrt
@pytest.mark.parametrize("option", ["--fp16", "--weights=w.pth", "--opset=17", "--report=r", "--keep-fp32=tail"])
def test_options_that_the_file_has_settled_are_refused(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model()
    monkeypatch.setattr(sys, "argv", ["efdn-export", "trt", "--onnx", str(MODEL), option])
    with pytest.raises(SystemExit) as caught:
        entry()
    assert caught.value.code == 2
    assert f"{option.split('=')[0]} does not go with --onnx" in capsys.readouterr().err
