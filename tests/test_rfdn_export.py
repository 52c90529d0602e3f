"""RFDN through export and engines: its graph computes what it computes, and artefacts say what they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from efdn.errors import ConfigError, UsageError
from efdn.rfdn.folding import fold_residuals
from efdn.rfdn.network import RFDN
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar
from efdn.weights import save_network
from engines.openvino import OpenVinoEngine
from engines.ort import CPU, OnnxRuntimeEngine
from engines.pytorch import open_published, open_pytorch
from export.engine_from_onnx import build_from_onnx
from export.interpreter import run_graph
from export.io_format import IOFormat
from export.onnx_export import export_onnx
from export.onnx_graph import write_onnx
from export.options import EngineOptions, OnnxOptions
from export.precision import Precision
from export.report import verification_report
from export.trt_builders import RtxBuilder
from export.trt_export import export_engine
from tests.conftest import installed
from tests.rfdn_samples import make_rfdn

ATOL = 1e-3
"""Outputs reach about 100 on the 0..255 scale; 1e-4 measured."""

METADATA = {"scale": "4", "data_range": "255", "smallest_side": "15"}
WEIGHTS = Path("small.safetensors")


@pytest.fixture
def network() -> RFDN:
    """Two blocks of twelve channels, saved as WEIGHTS too."""
    network = make_rfdn(2)
    save_network(network, WEIGHTS)
    return network


def picture(height: int, width: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (batch, 3, height, width)).astype(np.float32)


def expected(network: RFDN, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        result: np.ndarray = network(torch.tensor(x)).numpy()
    return result


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    with OnnxRuntimeEngine("onnxruntime-cpu", model.SerializeToString(), "test", (CPU,)) as engine:
        return engine.infer({"input": x})["output"]


@pytest.mark.parametrize("shape", [None, (17, 22)], ids=["dynamic", "static"])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("folded", [False, True])
def test_the_graph_computes_what_the_network_does(
    network: RFDN, shape: tuple[int, int] | None, batched: bool, folded: bool
) -> None:
    form = fold_residuals(network) if folded else network
    model = write_onnx(form, precision=Precision.FP32, opset=20, shape=shape, batched=batched, metadata=METADATA)
    x = picture(17, 22, batch=1 if shape is not None and not batched else 3)
    np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales_opsets_and_the_smallest_size(opset: int, scale: int) -> None:
    network, x = make_rfdn(3, scale=scale), picture(15, 15)
    model = write_onnx(
        fold_residuals(network), precision=Precision.FP32, opset=opset, metadata={**METADATA, "scale": str(scale)}
    )
    assert (model.opset_import[0].version, model.graph.name) == (opset, f"rfdn_x{scale}")
    np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_pictures_are_clipped_and_rounded_in_the_graph(data_range: float) -> None:
    network = make_rfdn(4, data_range=data_range)
    for values in network.upsampler[0].parameters():
        values.data.mul_(8)  # Beyond black and white.
    pixels = np.random.default_rng(1).integers(0, 256, (1, 16, 19, 3), dtype=np.uint8)
    x = pixels.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(data_range / 255)
    reference = expected(network, x).transpose(0, 2, 3, 1) * (255 / data_range)
    assert reference.min() < 0
    assert reference.max() > 255
    model = write_onnx(
        fold_residuals(network), precision=Precision.FP32, opset=20, io=IOFormat.UINT8, metadata=METADATA
    )
    difference = np.abs(run(model, pixels).astype(int) - np.clip(np.rint(reference), 0, 255))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_half_precision_is_inside_but_for_what_is_kept(network: RFDN) -> None:
    model = write_onnx(
        fold_residuals(network), precision=Precision.FP16, opset=20, keep_fp32=["body.1/attention"], metadata=METADATA
    )
    types: dict[str, str] = {}
    x = picture(15, 16)
    output = run_graph(model, {"input": x}, observe=lambda name, op, value: types.update({name: str(value.dtype)}))
    for name, dtype in types.items():
        kept = name.startswith("body.1/attention") or name == "output"
        assert dtype == ("torch.float32" if kept else "torch.float16"), name
    reference = expected(network, x)
    assert np.abs(output["output"] - reference).max() < 0.01 * np.abs(reference).max()


@pytest.mark.parametrize(
    "options",
    [
        OnnxOptions(),
        OnnxOptions(precision=Precision.FP16, io=IOFormat.UINT8, shape=(24, 32)),
        OnnxOptions(precision=Precision.BF16, opset=22),
    ],
    ids=["fp32", "fp16 pictures", "bf16"],
)
def test_an_export_is_verified_and_says_what_it_is(network: RFDN, options: OnnxOptions) -> None:
    sidecar = export_onnx(WEIGHTS, Path("m.onnx"), options=options)
    assert read_sidecar(Path("m.onnx")) == sidecar
    assert (sidecar.architecture, sidecar.scale, sidecar.passes) == ("RFDN", 4, ())
    assert sidecar.shapes[0].min == (options.shape or (15, 15))
    assert "deploy form" in sidecar.parity
    metadata = {entry.key: entry.value for entry in onnx.load("m.onnx").metadata_props}
    told = {key: metadata[key] for key in ("architecture", "planes", "blocks", "smallest_side", "passes")}
    assert told == {"architecture": "RFDN", "planes": "12", "blocks": "2", "smallest_side": "15", "passes": ""}


def test_default_names_are_those_of_the_default(network: RFDN) -> None:
    assert export_onnx(WEIGHTS, options=OnnxOptions()).file == "small_x4_dynamic_fp32.onnx"


def test_passes_are_refused_for_they_are_those_of_another_network(network: RFDN) -> None:
    for options in (OnnxOptions(passes=("group_channels",)), OnnxOptions(io=IOFormat.UINT8, passes=("fold_scale",))):
        with pytest.raises(UsageError, match=r"RFDN has no passes, got \w+: leave --passes out, they are EFDN's"):
            export_onnx(WEIGHTS, Path("m.onnx"), options=options)
    assert not Path("m.onnx").exists()
    assert export_onnx(WEIGHTS, Path("m.onnx"), options=OnnxOptions(passes=())).passes == ()


def test_shapes_that_it_does_not_take_are_refused(network: RFDN) -> None:
    with pytest.raises(ConfigError, match="RFDN takes shapes from 15x15 up, got 14x64"):
        export_onnx(WEIGHTS, Path("m.onnx"), options=OnnxOptions(shape=(14, 64)))


def test_a_report_covers_every_stage(network: RFDN) -> None:
    options = OnnxOptions(precision=Precision.FP16, io=IOFormat.UINT8)
    report = verification_report(network, options)
    report.require()
    assert list(dict.fromkeys(check.stage for check in report.checks)) == [
        "fold",
        "onnx fp32",
        "onnx fp16",
        "onnx fp16, uint8",
    ]
    parts = [name.rpartition("/")[0] for name, _ in report.divergence]
    assert parts == ["head", "body.0", "body.1", "fusion", "tail"]


@pytest.mark.parametrize("opener", [open_pytorch, open_published])
def test_pytorch_runs_its_weights(network: RFDN, opener: Any) -> None:
    x = picture(15, 18)
    with opener(WEIGHTS) as engine:
        assert engine.model.smallest_side == engine.shapes[0].min[0] == 15
        np.testing.assert_allclose(engine.infer({"input": x})["output"], expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("name", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.skipif(
    not installed("openvino"), reason="OpenVINO is not installed"))])  # fmt: skip
def test_engines_of_onnx_files_know_the_smallest_side(network: RFDN, name: str) -> None:
    export_onnx(WEIGHTS, Path("m.onnx"), options=OnnxOptions())
    content, x = Path("m.onnx").read_bytes(), picture(16, 15)
    opened = OpenVinoEngine(content, "m") if name == "openvino" else OnnxRuntimeEngine(name, content, "m", (CPU,))
    with opened as engine:
        assert (engine.model.smallest_side, engine.shapes[0].min) == (15, (15, 15))
        assert [dim.minimum for dim in engine.outputs[0].dims] == [1, 3, 60, 60]
        np.testing.assert_allclose(engine.infer({"input": x})["output"], expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.tensorrt
def test_an_engine_is_built_without_a_gpu() -> None:
    torch.manual_seed(0)
    save_network(RFDN(), WEIGHTS)
    side = ShapeRange(min=(64, 64), opt=(64, 64), max=(64, 64))
    done = export_engine(
        WEIGHTS, Path("m.engine"), builder=RtxBuilder(("sm86",)), options=EngineOptions(shapes=(side,))
    )
    sidecar = done.sidecar
    assert (sidecar.architecture, sidecar.precision, sidecar.passes) == ("RFDN", "fp16", ())
    assert sidecar.build is not None
    assert sidecar.build.gpu_targets == ("sm86",)
    assert sidecar.build.half_share > 0.9
    # With the residuals in the convolutions; left as additions, some of them cost a kernel that only copies.
    assert len(done.plan.copies) == 0


@pytest.mark.tensorrt
def test_an_engine_is_not_built_for_less_than_it_takes(network: RFDN) -> None:
    small = ShapeRange(min=(14, 14), opt=(64, 64), max=(64, 64))
    builder = RtxBuilder(("sm86",))
    with pytest.raises(ConfigError, match="RFDN takes shapes from 15x15 up, got 14x14"):
        export_engine(WEIGHTS, Path("m.engine"), builder=builder, options=EngineOptions(shapes=(small,)))
    export_onnx(WEIGHTS, Path("m.onnx"), options=OnnxOptions())
    with pytest.raises(UsageError, match=r"m\.onnx takes any shape from 15x15, got 14x14"):
        build_from_onnx(Path("m.onnx"), builder=builder, shapes=(small,))
    larger = ShapeRange(min=(15, 15), opt=(64, 64), max=(64, 64))
    done = build_from_onnx(Path("m.onnx"), Path("m.engine"), builder=builder, shapes=(larger,))
    assert json.loads(Path("m.engine.json").read_text())["architecture"] == done.sidecar.architecture == "RFDN"
