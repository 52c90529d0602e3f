"""Each operator of the interpreter computes what ONNX says, and rounds as its type does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from efdn.errors import ExportError
from export.interpreter import run_graph
from export.interpreter_layout import TORCH_TYPES
from export.interpreter_ops import OPERATORS

TOLERANCE = 2e-6
"""In float32, absolute and relative: inputs are about 1, and sums have at most 36 terms."""

ROUNDING = {"Add", "Conv", "Div", "Erf", "Gelu", "LeakyRelu", "MatMul", "Mul", "ReduceSum", "Resize", "Sigmoid", "Sub"}
"""Operators whose result has to be rounded; others move or select values."""

UNTYPED = {"Cast", "Shape"}
"""Operators whose output is not of the input's type."""

BACKWARDS_TO_THE_START = np.iinfo(np.int64).min
Array = np.ndarray[Any, np.dtype[Any]]


def floats(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def scalar(value: float) -> Array:
    return np.array(value, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One node: its operator, inputs (None: left out), attributes and number of outputs."""

    op: str
    inputs: Sequence[Array | None] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 20


def case(op: str, *inputs: Array | None, outputs: int = 1, opset: int = 20, **attributes: Any) -> Case:
    return Case(op=op, inputs=inputs, attributes=attributes, outputs=outputs, opset=opset)


X = floats(2, 4, 6, 5)
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.4, -0.6], dtype=np.float32)
BYTES = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3) * 5

CASES = [
    case("Conv", X, floats(3, 4, 3, 3), floats(3), kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("Conv", X, floats(3, 4, 3, 3), pads=[1, 0, 2, 1]),
    case("Conv", X, floats(4, 1, 3, 2), floats(4), group=4, strides=[2, 1], pads=[0, 1, 1, 0]),
    case("Conv", X, floats(4, 2, 1, 1), group=2, strides=[1, 3]),
    case("Conv", X, floats(2, 4, 2, 2), dilations=[2, 3]),
    case("Gelu", X * 3),
    case("Gelu", X * 3, approximate="tanh"),
    case("LeakyRelu", X),
    case("LeakyRelu", X, alpha=0.05),
    case("Erf", X),
    case("Slice", X, ints(1, -3), ints(3, 2**63 - 1), ints(1, -1)),
    case("Slice", X, ints(1, 0), ints(6, 5), ints(2, 3), ints(2, 3)),
    case("Slice", X, ints(-1, 4), ints(BACKWARDS_TO_THE_START, 0), ints(3, 2), ints(-1, -2)),
    case("Slice", X, ints(0, 3), ints(1, 2)),
    case("Concat", X, floats(2, 1, 6, 5), X, axis=1),
    case("Concat", X, X, axis=-1),
    case("Split", X, ints(1, 4, 1), axis=2, outputs=3),
    case("Split", X, axis=3, num_outputs=3, outputs=3),
    case("Split", X, axis=1, outputs=2, opset=17),
    case("Add", X, floats(4, 1, 1)),
    case("Sub", X, floats(1, 4, 1, 5)),
    case("Mul", X, scalar(0.3)),
    case("Div", X, floats(6, 5) + 4),
    case("Div", ints(-7, 7, 9), ints(2, 2, 3)),
    case("Cast", X * 100, to=TensorProto.FLOAT16),
    case("Cast", np.array([0, 0.6, 1.5, 2.5, 254.99, 255], np.float32), to=TensorProto.UINT8),
    case("Cast", np.array([-2.7, -0.5, 0.6, 9.99], np.float32), to=TensorProto.INT64),
    case("Cast", BYTES, to=TensorProto.FLOAT),
    case("Cast", X, to=TensorProto.DOUBLE, saturate=1),
    case("Transpose", X, perm=[0, 2, 3, 1]),
    case("Transpose", X),
    case("Reshape", X, ints(0, -1, 10)),
    case("Reshape", floats(0, 3), ints(3, 0), allowzero=1),
    case("Unsqueeze", X, ints(4, 0)),
    case("Unsqueeze", X, ints(-1)),
    case("Squeeze", floats(1, 3, 1, 2), ints(-2)),
    case("Squeeze", floats(1, 3, 1, 2)),
    case("Pad", X, ints(0, 1, 2, 0, 1, 0, 1, 3), scalar(0.5), opset=17),
    case("Pad", X, ints(1, 2, 3, 0), None, ints(3, -2)),
    case("Pad", X, ints(2, 3, 1, 0), None, ints(2, -1), mode="wrap"),
    case("MaxPool", X, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 0, 1]),
    case("MaxPool", -np.abs(X), kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
    case("Relu", X),
    case("Resize", X, None, None, ints(2, 4, 13, 11), mode="linear"),
    case("Resize", X, None, None, ints(2, 4, 6, 8), mode="linear", coordinate_transformation_mode="half_pixel"),
    case("Sigmoid", X),
    case("DepthToSpace", X, blocksize=2, mode="CRD"),
    case("DepthToSpace", floats(1, 12, 2, 3), blocksize=2, mode="DCR"),
    case("DepthToSpace", BYTES, blocksize=2),
    case("Shape", X),
    case("Shape", X, start=1, end=-1),
    case("Gather", X, ints(2, 0, -1), axis=1),
    case("Gather", X, ints(1, 1, 0, -2).reshape(2, 2), axis=-1),
    case("Gather", ints(5, 6, 7), np.array(1, dtype=np.int64)),
    case("Clip", X, scalar(-0.5), scalar(0.25)),
    case("Clip", X, None, scalar(0.25)),
    case("Clip", X),
    case("Round", HALVES),
    case("ReduceSum", X, ints(1, -1)),
    case("ReduceSum", X, keepdims=0),
    case("ReduceSum", X, noop_with_empty_axes=1),
    case("ReduceSum", ints(1, 2, 3), ints(0), keepdims=0),
    case("MatMul", X, floats(5, 3)),
    case("Identity", X),
    case("Max", X, floats(4, 1, 1), scalar(0.1)),
    case("Min", X, floats(5)),
    case("Constant", value=numpy_helper.from_array(X)),
    case("Constant", value_float=0.1),
    case("Constant", value_floats=[0.1, 2.0]),
    case("Constant", value_int=7),
    case("Constant", value_ints=[7, -8]),
]


def name_of(one: object) -> str | None:
    return "-".join([one.op, *one.attributes]) if isinstance(one, Case) else None


def single(one: Case, float_type: int = TensorProto.FLOAT) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The model of one node, its float inputs in the type given, and what to feed it."""
    names = ["" if value is None else f"in{index}" for index, value in enumerate(one.inputs)]
    outputs = [f"out{index}" for index in range(one.outputs)]
    feeds = {name: value for name, value in zip(names, one.inputs, strict=True) if value is not None}
    types = {
        name: float_type if value.dtype == np.float32 else helper.np_dtype_to_tensor_dtype(value.dtype)
        for name, value in feeds.items()
    }
    graph = helper.make_graph(
        [helper.make_node(one.op, names, outputs, name="the node", **one.attributes)],
        "test",
        [helper.make_tensor_value_info(name, kind, None) for name, kind in types.items()],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", one.opset)]), feeds


def test_every_operator_has_a_case() -> None:
    assert {one.op for one in CASES} == set(OPERATORS)


@pytest.mark.parametrize("one", CASES, ids=name_of)
def test_operator_equals_onnx_reference(one: Case) -> None:
    model, feeds = single(one)
    expected = ReferenceEvaluator(model).run(None, feeds)
    results = run_graph(model, feeds)
    assert len(results) == len(expected) == one.outputs
    for got, wanted in zip(results.values(), expected, strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE, strict=True)


def takes_floats(one: Case) -> bool:
    return bool(one.inputs) and one.inputs[0] is not None and one.inputs[0].dtype == np.float32


@pytest.mark.parametrize("float_type", [TensorProto.FLOAT16, TensorProto.BFLOAT16], ids=["half", "bfloat16"])
@pytest.mark.parametrize("one", [one for one in CASES if takes_floats(one) and one.op not in UNTYPED], ids=name_of)
def test_half_widths_round_a_result_once_and_move_values_unchanged(one: Case, float_type: int) -> None:
    dtype = TORCH_TYPES[float_type]
    model, feeds = single(one)
    rounded = {
        name: x if x.dtype != np.float32 else torch.tensor(x).to(dtype).float().numpy() for name, x in feeds.items()
    }
    expected = ReferenceEvaluator(model).run(None, rounded)
    numpy_type = np.dtype(np.float16 if dtype is torch.float16 else np.float32)
    typed = {name: x if x.dtype != np.float32 else x.astype(numpy_type) for name, x in rounded.items()}
    results = run_graph(single(one, float_type)[0], typed)
    for got, exact in zip(results.values(), expected, strict=True):
        assert got.dtype == numpy_type
        result = torch.tensor(got).float()
        assert torch.equal(result, result.to(dtype).float())
        if one.op in ROUNDING and "noop_with_empty_axes" not in one.attributes:
            assert not np.array_equal(result, exact)
            half_a_step = torch.finfo(dtype).eps / 2
            np.testing.assert_allclose(result, exact, rtol=half_a_step + TOLERANCE, atol=TOLERANCE, strict=True)
        else:
            np.testing.assert_array_equal(result, exact, strict=True)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (case("Conv", X, floats(3, 4, 3, 3), auto_pad="SAME_UPPER"), "auto_pad"),
        (case("Conv", X, floats(3, 4, 3, 3), kernel_shape=[3, 1]), "kernel_shape"),
        (case("Resize", X, None, None, ints(2, 4, 9, 9), mode="cubic"), "cubic"),
        (case("Resize", X, None, None, ints(2, 5, 9, 9), mode="linear"), "channels"),
        (case("Resize", X, None, np.ones(4, np.float32), mode="linear"), "scales"),
        (case("Pad", X, ints(1, 1), None, ints(2), mode="reflect"), "reflect"),
        (case("MaxPool", X, kernel_shape=[2, 2], outputs=2), "outputs"),
        (case("Cast", X, to=TensorProto.COMPLEX64), "float16"),
        (case("Squeeze", X, ints(1)), "size 1"),
        (case("Gather", X, ints(9), axis=1), "out of"),
        (case("Add", X, X.astype(np.float64)), "float32 and float64"),
        (case("MatMul", X.astype(np.float16), floats(5, 3)), "float16 and float32"),
        (case("Concat", X, X.astype(np.float64), axis=0), "float32 and float64"),
        (case("Clip", X, np.float64(0)), "float32 and float64"),
    ],
    ids=name_of,
)
def test_what_is_not_computed_as_written_is_refused(one: Case, reason: str) -> None:
    with pytest.raises(ExportError, match=rf"node 'the node' \({one.op}\) cannot be computed: .*{reason}"):
        run_graph(*single(one))
