"""The interpreter runs whole graphs in their own types, lets tensors go, and shows every one of them on the way."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, parser
from torch import Tensor

from efdn.errors import ExportError, ShapeError
from efdn.metrics import psnr
from engines.ort import CPU, OnnxRuntimeEngine
from export.interpreter import Divergence, Ranges, Reference, run_graph

PACKAGED = Path(__file__).parent.parent / "efdn" / "assets" / "efdn_x4.onnx"
TOLERANCE = 1e-4 * 255
"""What exports are held to, of the 0..255 scale."""

Array = np.ndarray[Any, np.dtype[Any]]


def graph(text: str) -> onnx.ModelProto:
    """A model from ONNX's textual form of a graph."""
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 20]> {text}')


def halves(*values: float) -> Array:
    return np.array(values, dtype=np.float16)


def singles(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


def picture() -> Array:
    return np.random.default_rng(0).uniform(0, 255, (1, 3, 24, 20)).astype(np.float32)


def packaged_in_half() -> onnx.ModelProto:
    """The packaged graph with weights and tensors in half precision, and the same names."""
    model = onnx.load(PACKAGED)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for entry in [*model.graph.input, *model.graph.output]:
        entry.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def test_packaged_graph_equals_onnx_runtime() -> None:
    content = PACKAGED.read_bytes()
    with OnnxRuntimeEngine("onnxruntime-cpu", content, "test", (CPU,)) as engine:
        expected = engine.infer({"input": picture()})["output"]
    results = run_graph(content, {"input": picture()})
    assert list(results) == ["output"]
    np.testing.assert_allclose(results["output"], expected, rtol=0, atol=TOLERANCE, strict=True)


def test_packaged_graph_in_half_stays_near_and_its_departure_is_measured() -> None:
    reference, ranges = Reference(lambda name: "body.3" in name), Ranges()
    expected = run_graph(PACKAGED.read_bytes(), {"input": picture()}, observe=reference)["output"]
    divergence = Divergence(reference.tensors)

    def observe(name: str, op_type: str, value: Tensor) -> None:
        assert value.dtype is torch.float16
        divergence(name, op_type, value)
        ranges(name, op_type, value)

    output = run_graph(packaged_in_half(), {"input": picture().astype(np.float16)}, observe=observe)["output"]
    assert output.dtype == np.float16
    # Each of some thirty layers rounds to 11 bits: equal outputs would mean that none did.
    assert 40 < psnr(expected[0], output[0].astype(np.float32), data_range=255) < 90
    assert list(divergence.errors) == list(reference.tensors)
    assert len(divergence.errors) > 30
    assert all(0 <= error < 0.05 for error in divergence.errors.values())
    assert max(divergence.errors.values()) > 2**-11
    assert ranges.first_non_finite is None
    assert 1e-4 < ranges.tightest(1)[0].share < 1


def test_each_node_rounds_to_the_type_of_the_graph() -> None:
    text = "t ({0}[1] x, {0}[1] y) => ({0}[1] out) {{ sum = Add(x, y)  out = Sub(sum, x) }}"
    x, y = halves(2048), halves(1)
    assert run_graph(graph(text.format("float16")), {"x": x, "y": y})["out"] == 0
    wide = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
    assert run_graph(graph(text.format("float")), wide)["out"] == 1
    assert run_graph(graph(text.format("bfloat16")), wide)["out"] == 0


def test_bfloat16_goes_in_and_out_as_float32() -> None:
    model = graph("t (bfloat16[3] x) => (bfloat16[3] out) { out = Mul(x, factor) }")
    model.graph.initializer.append(helper.make_tensor("factor", TensorProto.BFLOAT16, [], [1 + 2**-7]))
    result = run_graph(model, {"x": singles(1, 1 + 2**-9, 2**100)})["out"]
    assert result.dtype == np.float32
    assert result.tolist() == [1 + 2**-7, 1 + 2**-7, 2**100 + 2**93]


def test_bytes_go_in_and_out() -> None:
    model = graph(
        "t (uint8[N, 3] x) => (uint8[N, 3] out) <float scale = {1.5}, float low = {0.0}, float high = {255.0}>"
        "{ wide = Cast <to = 1> (x) scaled = Mul(wide, scale) whole = Round(scaled)"
        "  cut = Clip(whole, low, high) out = Cast <to = 2> (cut) }"
    )
    result = run_graph(model, {"x": np.array([[0, 1, 3], [5, 100, 200]], dtype=np.uint8)})["out"]
    assert result.dtype == np.uint8
    assert result.tolist() == [[0, 2, 4], [8, 150, 255]]  # half to even: 1.5, 4.5 and 7.5


def test_results_are_independent_of_what_was_fed() -> None:
    model = graph(
        "t (float[6] x) => (float[6] whole, float[1] part) <int64[1] zero = {0}, int64[1] one = {1}>"
        "{ whole = Identity(x) part = Slice(x, zero, one) }"
    )
    x = np.arange(6, dtype=np.float32)[::-1]
    x.flags.writeable = False
    results = run_graph(model, {"x": x})
    assert results["whole"].tolist() == [5, 4, 3, 2, 1, 0]
    results["whole"][:] = 9
    assert x.tolist() == [5, 4, 3, 2, 1, 0]
    assert results["part"].tolist() == [5]


def test_the_first_tensor_that_overflows_is_named() -> None:
    model = graph(
        "t (float16[2] x) => (float16[2] out) { large = Mul(x, x) over = Mul(large, x)"
        "  none = Sub(over, over) out = Relu(none) }"
    )
    ranges = Ranges()
    run_graph(model, {"x": halves(200, -2)}, observe=ranges)
    assert ranges.first_non_finite == "over"
    assert list(ranges.tensors) == ["large", "over", "none", "out"]
    assert (ranges.tensors["over"].op_type, ranges.tensors["over"].dtype) == ("Mul", "float16")
    assert np.isnan(ranges.tensors["none"].largest)
    assert {entry.name for entry in ranges.tightest(3)} == {"over", "none", "out"}
    assert ranges.tightest(4)[3].name == "large"


def test_ranges_are_shares_of_the_limit_of_a_tensors_own_type() -> None:
    model = graph(
        "t (float16[2] x) => (float[2] wide) <int64[1] zero = {0}>"
        "{ half = Identity(x) wide = Cast <to = 1> (half) none = Slice(x, zero, zero) }"
    )
    ranges = Ranges()
    run_graph(model, {"x": halves(3, -32752)}, observe=ranges)
    assert ranges.first_non_finite is None
    assert ranges.tensors["half"].largest == ranges.tensors["wide"].largest == 32752
    assert ranges.tensors["half"].share == 0.5
    assert ranges.tensors["wide"].share == pytest.approx(32752 / 3.4028235e38)
    assert ranges.tensors["none"].largest == 0
    assert [entry.name for entry in ranges.tightest(2)] == ["half", "wide"]


def test_divergence_is_relative_and_in_order() -> None:
    text = (
        "t (float[2] x, float[1] f) => (float[2] c) { b = Mul(x, f) a = Sub(b, b) skipped = Add(a, f) c = Add(b, b) }"
    )
    x = singles(3, 4)
    reference = Reference({"a", "b", "c"}.__contains__)
    run_graph(graph(text), {"x": x, "f": singles(1)}, observe=reference)
    divergence = Divergence(reference.tensors)
    run_graph(graph(text), {"x": x, "f": singles(1.25)}, observe=divergence)
    assert list(divergence.errors.items()) == [("b", 0.25), ("a", 0.0), ("c", 0.25)]
    divergence("a", "Sub", torch.ones(2))
    assert divergence.errors["a"] == float("inf")
    with pytest.raises(ShapeError, match="tensor 'b' must be"):
        divergence("b", "Mul", torch.ones(1))


def test_a_reference_keeps_its_own_float32_copies() -> None:
    reference = Reference({"a"}.__contains__)
    for dtype in (torch.float32, torch.float16):
        value = torch.ones(2, dtype=dtype)
        reference("a", "Add", value)
        reference("b", "Add", value)
        value.zero_()
        assert list(reference.tensors) == ["a"]
        assert reference.tensors["a"].dtype is torch.float32
        assert reference.tensors["a"].tolist() == [1, 1]


def test_float_tensors_are_observed_in_order_and_under_their_names() -> None:
    model = graph(
        "t (float[4] x) => (float[2] out) { size = Shape(x) left, right = Split <num_outputs = 2> (x)"
        "  bytes = Cast <to = 2> (x) out = Add(left, right) }"
    )
    seen: list[tuple[str, str]] = []
    run_graph(model, {"x": singles(1, 1, 1, 1)}, observe=lambda name, op_type, _: seen.append((name, op_type)))
    assert seen == [("left", "Split"), ("right", "Split"), ("out", "Add")]


def test_tensors_are_let_go_after_their_last_use() -> None:
    steps = 12
    chain = " ".join(f"v{step + 1} = Relu(v{step}) unread{step} = Sigmoid(v{step})" for step in range(steps))
    model = graph(f"t (float[4] v0) => (float[4] v{steps}) {{ {chain} }}")
    alive: list[int] = []
    made: list[weakref.ref[Tensor]] = []

    def observe(name: str, op_type: str, value: Tensor) -> None:
        made.append(weakref.ref(value))
        alive.append(sum(ref() is not None for ref in made))

    run_graph(model, {"v0": singles(1, 1, 1, 1)}, observe=observe)
    assert len(alive) == 2 * steps
    assert max(alive) <= 3  # what is read, what was made of it, and what nothing reads
    assert not any(ref() is not None for ref in made)


@pytest.mark.parametrize(
    ("domain", "said"), [("", "operator Softmax of node 'odd one'"), ("other", "operator other.Relu of node 'odd one'")]
)
def test_an_unknown_operator_is_named_before_anything_runs(domain: str, said: str) -> None:
    model = graph("t (float[1] x) => (float[1] out) { first = Relu(x) }")
    kind = "Relu" if domain else "Softmax"
    model.graph.node.append(helper.make_node(kind, ["first"], ["out"], name="odd one", domain=domain))
    seen: list[str] = []
    with pytest.raises(ExportError, match=said):
        run_graph(model, {"x": singles(1)}, observe=lambda name, *_: seen.append(name))
    assert seen == []


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, r"expected inputs \['x'\], got \[\]"),
        ({"x": np.ones((2, 3)), "y": np.ones(1)}, r"got \['x', 'y'\]"),
        ({"x": np.ones((2, 3))}, r"input 'x' must be torch.float32 .* got torch.float64"),
        ({"x": np.ones((2, 4), np.float32)}, r"of \[None, 3\], got torch.float32 of \[2, 4\]"),
        ({"x": singles(1, 1, 1)}, r"of \[None, 3\], got torch.float32 of \[3\]"),
    ],
)
def test_inputs_that_the_graph_does_not_take_are_refused(feeds: dict[str, Array], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        run_graph(graph("t (float[N, 3] x) => (float[N, 3] out) { out = Relu(x) }"), feeds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t (float[1] x) => (float[1] out) { out = Add(x, later) later = Relu(x) }", "tensor 'later' is read before"),
        ("t (float[1] x) => (float[1] out) { other = Relu(x) }", "tensor 'out' is read before"),
        ("t (float[1] x) => (float[1] out) <int32[1] i = {1}> { out = Relu(x) }", "tensors must be float32"),
    ],
)
def test_broken_graphs_are_refused(text: str, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        run_graph(graph(text), {"x": singles(1)})
