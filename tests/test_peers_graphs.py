"""The file that people get without this toolkit, made to fit other shapes and readers without a change in value."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.graphs import TRACED, describe, fixed_to, pads_as_slices
from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ExportError
from efdn.network import EFDN
from engines.graphs import model_info
from engines.protocol import INPUT, OUTPUT
from engines.pytorch import open_published, open_published_channels_last

SCALE = 4


@pytest.fixture
def traced() -> onnx.ModelProto:
    """What PyTorch makes of a circular pad, a resize to the input's size and a pixel shuffle."""
    constants: dict[str, NDArray[Any]] = {
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        "sizes": np.array([1, 48, *TRACED], np.int64),
        "weight": np.random.default_rng(0).normal(size=(48, 3, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Pad", ["input", "pads"], ["padded"], name="pad", mode="wrap"),
        helper.make_node("Conv", ["padded", "weight"], ["wide"], strides=[2, 2]),
        helper.make_node("Resize", ["wide", "", "", "sizes"], ["resized"], mode="linear"),
        helper.make_node("DepthToSpace", ["resized"], ["output"], blocksize=SCALE, mode="CRD"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, factor * TRACED[0], factor * TRACED[1]])
        for name, factor in (("input", 1), ("output", SCALE))
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "traced", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def result(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    found: NDArray[np.float32] = ort.InferenceSession(model.SerializeToString(), options).run(None, {"input": x})[0]
    return found


def picture(*side: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(0, 255, (1, 3, *side)).astype(np.float32)


def test_pads_as_slices_give_the_same_bits(traced: onnx.ModelProto) -> None:
    sliced = pads_as_slices(traced)
    assert "Pad" not in {node.op_type for node in sliced.graph.node}
    onnx.checker.check_model(sliced, full_check=True)
    np.testing.assert_array_equal(result(sliced, picture(*TRACED)), result(traced, picture(*TRACED)))


def test_a_wider_circular_pad_is_refused(traced: onnx.ModelProto) -> None:
    (pads,) = [value for value in traced.graph.initializer if value.name == "pads"]
    pads.CopyFrom(numpy_helper.from_array(np.array([0, 0, 2, 1, 0, 0, 1, 1], np.int64), "pads"))
    with pytest.raises(ExportError, match=r"by one pixel around the border, got \[0, 0, 2, 1, 0, 0, 1, 1\] in pad"):
        pads_as_slices(traced)


def test_a_resize_by_scales_holds_at_every_shape(traced: onnx.ModelProto) -> None:
    (resize,) = [node for node in traced.graph.node if node.op_type == "Resize"]
    del resize.input[2:]
    resize.input.append("scales")
    scales = np.array([1, 1, 2, 2], np.float32)  # Back from the convolution's stride.
    traced.graph.initializer.append(numpy_helper.from_array(scales, "scales"))
    assert result(fixed_to(traced, (20, 32), SCALE), picture(20, 32)).shape == (1, 3, 80, 128)


def test_another_shape_is_taken_and_the_trace_stays(traced: onnx.ModelProto) -> None:
    before = traced.SerializeToString()
    fixed = fixed_to(traced, (21, 33), SCALE)
    onnx.checker.check_model(fixed, full_check=True)
    assert result(fixed, picture(21, 33)).shape == (1, 3, 84, 132)
    # Traced anew at that shape, it would have these sizes.
    sizes = {value.name: numpy_helper.to_array(value).tolist() for value in fixed.graph.initializer}["sizes"]
    assert sizes == [1, 48, 21, 33]
    assert traced.SerializeToString() == before


def test_engines_learn_what_the_graph_is(traced: onnx.ModelProto) -> None:
    network = EFDN(planes=10, num_modules=1)
    describe(traced, network)
    info = model_info({entry.key: entry.value for entry in traced.metadata_props}, "plain.onnx")
    assert (info.scale, info.data_range, info.smallest_side) == (4, 255.0, network.config.smallest_side)


def test_channels_last_is_the_same_network_in_another_layout() -> None:
    with open_published(DEFAULT_WEIGHTS) as usual, open_published_channels_last(DEFAULT_WEIGHTS) as other:
        expected, found = (engine.infer({INPUT: picture(16, 20)})[OUTPUT] for engine in (usual, other))
        assert other.name == "pytorch-published-channels-last"
    # Sums in another order: float32 has seven digits, and 255 is white.
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found.flags.c_contiguous
