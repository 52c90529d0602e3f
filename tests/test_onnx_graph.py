"""The graph written computes what the network computes, in any form it is asked for."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.errors import ExportError, UsageError
from efdn.folding import fold_batch_norms
from efdn.network import EFDN
from efdn.passes.pipeline import PIPELINES, deploy_network, find_passes
from engines.ort import CPU, OnnxRuntimeEngine
from export.interpreter import run_graph
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.options import OPSETS
from export.precision import Precision
from tests.conftest import bias, make_network

ATOL = 1e-3
"""Outputs reach about 100 on the 0..255 scale."""

METADATA = {"scale": "4", "data_range": "255"}


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    with OnnxRuntimeEngine("onnxruntime-cpu", model.SerializeToString(), "test", (CPU,)) as engine:
        return engine.infer({"input": x})["output"]


def expected(network: EFDN, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        result: np.ndarray = network(torch.tensor(x)).numpy()
    return result


def picture(height: int, width: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (batch, 3, height, width)).astype(np.float32)


@given(st.integers(13, 40), st.integers(13, 40), st.integers(1, 3))
@settings(max_examples=10)
def test_dynamic_graph_takes_any_size_and_batch(height: int, width: int, batch: int) -> None:
    network = make_network(2)
    model = write_onnx(deploy_network(network), precision=Precision.FP32, opset=20, metadata=METADATA)
    x = picture(height, width, batch)
    np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_is_the_one_asked_for_and_equal(opset: int) -> None:
    network = make_network(3, awkward=True)
    model = write_onnx(deploy_network(network), precision=Precision.FP32, opset=opset, metadata=METADATA)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    x = picture(20, 17)
    np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_other_scales_and_published_channel_order(scale: int) -> None:
    network, x = make_network(4, scale=scale), picture(16, 14)
    for form in (fold_batch_norms, deploy_network):
        model = write_onnx(
            form(network), precision=Precision.FP32, opset=17, metadata={**METADATA, "scale": str(scale)}
        )
        np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


FORMS = [
    *PIPELINES,
    "tensorrt,-skip_terms",
    "tensorrt,-skip_terms,-lower_tail,join_skip",
    "tensorrt,wrap_once",
    "onnxruntime,-wrap_once",
    "add_up_branches",
    "add_up_blocks",
    "convolve_mixers",
    "group_channels,convolve_mixers",
]


@pytest.mark.parametrize("passes", FORMS)
@pytest.mark.parametrize("shape", [None, (17, 22)], ids=["dynamic", "static"])
def test_every_form_is_written_as_it_computes(passes: str, shape: tuple[int, int] | None) -> None:
    network, x = make_network(6, awkward=True), picture(17, 22)
    deployed = deploy_network(network, find_passes(passes))
    model = write_onnx(deployed, precision=Precision.FP32, opset=20, shape=shape, metadata=METADATA)
    np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("passes", ["onnxruntime", "tensorrt", "tensorrt,-fold_scale"])
@pytest.mark.parametrize("shape", [None, (17, 22)], ids=["dynamic", "static"])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_pictures_are_clipped_and_rounded_in_the_graph(
    passes: str, shape: tuple[int, int] | None, data_range: float
) -> None:
    network = make_network(6, data_range=data_range)
    for values in network.tail[0].parameters():
        values.data.mul_(3)  # Beyond black and white.
    pixels = np.random.default_rng(1).integers(0, 256, (1, 17, 22, 3), dtype=np.uint8)
    x = pixels.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(data_range / 255)
    reference = expected(network, x).transpose(0, 2, 3, 1) * (255 / data_range)
    assert reference.min() < 0
    assert reference.max() > 255
    deployed = deploy_network(network, find_passes(passes, pictures=True))
    model = write_onnx(deployed, precision=Precision.FP32, opset=20, shape=shape, io=IOFormat.UINT8, metadata=METADATA)
    result = run(model, pixels)
    assert result.dtype == np.uint8
    assert result.shape == (1, 68, 88, 3)
    wanted = np.clip(np.rint(reference), 0, 255)
    assert np.abs(result - wanted).max() <= 1
    assert (result != wanted).mean() < 0.01


@pytest.mark.parametrize("shape", [None, (16, 16)], ids=["dynamic", "static"])
@pytest.mark.parametrize("io", IOFormat)
@pytest.mark.parametrize("patterns", [["body.1", "tail"], ["body.1/*", "tail"], ["body.*"]], ids=str)
def test_parts_kept_in_float32_are_and_nothing_else_is(
    patterns: list[str], io: IOFormat, shape: tuple[int, int] | None
) -> None:
    network = make_network()
    deployed = deploy_network(network, find_passes(pictures=io is IOFormat.UINT8))
    model = write_onnx(
        deployed, precision=Precision.FP16, opset=20, shape=shape, io=io, keep_fp32=patterns, metadata=METADATA
    )
    onnx.checker.check_model(model, full_check=True)
    types: dict[str, str] = {}
    pixels = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    feed = pixels if io is IOFormat.UINT8 else pixels.transpose(0, 3, 1, 2).astype(np.float32)
    run_graph(model, {"input": feed}, observe=lambda name, op, value: types.update({name: str(value.dtype)}))
    parts = tuple(f"{pattern.removesuffix('/*').replace('*', '')}" for pattern in patterns)
    assert len([name for name in types if name.startswith(parts)]) >= 40
    for name, dtype in types.items():
        kept = name.startswith(parts) or (name == "output" and io is IOFormat.FLOAT32)
        # What leads out of a kept part is cast in the part that reads it, and named after that one.
        assert (dtype == "torch.float32") == kept, name
    assert np.isfinite(run(model, feed)).all()


def test_what_is_added_up_has_the_name_of_what_is_joined() -> None:
    deployed = deploy_network(make_network(), find_passes())
    model = write_onnx(deployed, precision=Precision.FP16, opset=20, keep_fp32=["fusion"], metadata=METADATA)
    types: dict[str, str] = {}
    feed = {"input": picture(16, 16)}
    run_graph(model, feed, observe=lambda name, op, value: types.update({name: str(value.dtype)}))
    kept = {name for name in types if name.startswith("fusion/") and "/Cast" not in name}
    assert {name.rpartition("/")[2].partition("_")[0] for name in kept} == {"Conv", "Add"}
    assert {types[name] for name in kept} == {"torch.float32"}


def test_an_attention_without_skip_is_written() -> None:
    network = make_network()
    for block in network.body:
        block.esa.useless_conv.weight.data.zero_()  # type: ignore[union-attr, operator]
    model = write_onnx(
        deploy_network(network, find_passes("tensorrt")), precision=Precision.FP32, opset=20, metadata=METADATA
    )
    x = picture(16, 16)
    np.testing.assert_allclose(run(model, x), expected(network, x), rtol=0, atol=ATOL)


def test_a_pattern_that_matches_nothing_is_refused(small_network: EFDN) -> None:
    with pytest.raises(UsageError, match=r"no part of the graph matches 'bdy': expected such as head, body\.0"):
        write_onnx(deploy_network(small_network), precision=Precision.FP16, opset=20, keep_fp32=["tail", "bdy"])


def test_bfloat16_is_inside(small_network: EFDN) -> None:
    model = write_onnx(deploy_network(small_network), precision=Precision.BF16, opset=22, metadata=METADATA)
    onnx.checker.check_model(model, full_check=True)
    assert {t.data_type for t in model.graph.initializer} - {onnx.TensorProto.INT64} == {onnx.TensorProto.BFLOAT16}
    x = picture(16, 16)
    reference = expected(small_network, x)
    output = run_graph(model, {"input": x})["output"]
    error = np.abs(output - reference).max()
    assert 1e-4 * np.abs(reference).max() < error < 0.1 * np.abs(reference).max()


def axes(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_axes_are_named_and_static_shapes_are_fixed(small_network: EFDN) -> None:
    folded = deploy_network(small_network)
    dynamic = write_onnx(folded, precision=Precision.FP32, opset=20).graph
    assert axes(dynamic.input[0]) == ["batch", 3, "height", "width"]
    assert axes(dynamic.output[0]) == ["batch", 3, "height_x4", "width_x4"]
    static = write_onnx(folded, precision=Precision.FP32, opset=20, shape=(24, 32)).graph
    assert axes(static.input[0]) == [1, 3, 24, 32]
    assert axes(static.output[0]) == [1, 3, 96, 128]


def test_half_precision_is_inside_and_float32_at_both_ends(small_network: EFDN) -> None:
    model = write_onnx(deploy_network(small_network), precision=Precision.FP16, opset=20, metadata=METADATA)
    floats = {t.data_type for t in model.graph.initializer} - {onnx.TensorProto.INT64}
    assert floats == {onnx.TensorProto.FLOAT16}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    x = picture(16, 16)
    reference = expected(small_network, x)
    assert np.abs(run(model, x) - reference).max() < 0.02 * np.abs(reference).max()


def test_a_weight_beyond_half_precision_is_named(small_network: EFDN) -> None:
    bias(small_network)[3] = 1e5
    with pytest.raises(ExportError, match=r"tail/bias reaches 1e\+05, beyond fp16's 65504: export with --fp32"):
        write_onnx(deploy_network(small_network), precision=Precision.FP16, opset=20)


def test_writing_is_deterministic_and_names_are_unique(small_network: EFDN) -> None:
    first, second = (
        write_onnx(deploy_network(small_network), precision=Precision.FP32, opset=20, metadata=METADATA)
        for _ in range(2)
    )
    assert first.SerializeToString() == second.SerializeToString()
    names = [node.name for node in first.graph.node]
    assert len(set(names)) == len(names)
    assert not any("BatchNormalization" in node.op_type for node in first.graph.node)
