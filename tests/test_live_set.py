"""How much of a graph's activations must be in memory at once: by hand, by counting, and on the graphs written here."""

from collections.abc import Sequence
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import ExportError, ShapeError
from efdn.network import EFDN
from efdn.passes.pipeline import deploy_network, find_passes
from efdn.weights import load_network
from export.io_format import IOFormat
from export.live_set import Reuse, activation_bytes, largest_live_set, traffic_bytes
from export.onnx_graph import write_onnx
from export.precision import Precision

SIDE = (8, 6)
MAP = 4 * 3 * 8 * 6
"""Bytes of one map of three channels of float32 and of `SIDE`."""


def graph(
    *nodes: NodeProto, out: str = "y", kind: int = TensorProto.FLOAT, shape: Sequence[int | str] = ()
) -> onnx.ModelProto:
    weight = helper.make_tensor("w", kind, [3, 3, 3, 3], [0.1] * 81)
    sides = list(shape) or ["batch", 3, "height", "width"]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "hand",
            [helper.make_tensor_value_info("x", kind, sides)],
            [helper.make_tensor_value_info(out, kind, None)],
            [weight],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )


def node(kind: str, *names: str, **attributes: Any) -> NodeProto:
    """Of the inputs, then the output, which names the node."""
    return helper.make_node(kind, names[:-1], names[-1:], name=names[-1], **attributes)


def conv(x: str, y: str) -> NodeProto:
    return node("Conv", x, "w", y, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def maps(model: onnx.ModelProto, reuse: Reuse) -> float:
    """The bound, in maps of three channels."""
    return largest_live_set(model, SIDE, reuse).bytes / MAP


def test_elementwise_operators_write_over_an_input_that_they_are_the_last_to_read() -> None:
    model = graph(conv("x", "a"), node("Gelu", "a", "b"), conv("b", "y"))
    skipped = graph(conv("x", "a"), node("Gelu", "a", "b"), node("Mul", "a", "b", "y"))
    assert [maps(model, reuse) for reuse in Reuse] == [2, 2, 2]
    assert [maps(skipped, reuse) for reuse in Reuse] == [3, 2, 2]


def test_what_is_fused_is_neither_written_nor_read() -> None:
    model = graph(conv("x", "a"), node("Gelu", "a", "b"), conv("b", "c"), node("Add", "c", "x", "y"))
    assert [traffic_bytes(model, SIDE, reuse) / MAP for reuse in Reuse] == [9, 9, 5]


def test_nobody_writes_over_the_input_of_the_graph() -> None:
    assert [maps(graph(node("Relu", "x", "y")), reuse) for reuse in Reuse] == [2, 2, 2]


def test_an_operator_that_makes_something_larger_takes_nothings_place() -> None:
    model = graph(conv("x", "a"), node("Concat", "a", "a", "b", axis=1), node("Relu", "b", "y"))
    assert [maps(model, reuse) for reuse in Reuse] == [4, 3, 3]


def test_an_add_is_part_of_the_convolution_that_it_alone_reads() -> None:
    model = graph(conv("x", "a"), conv("a", "b"), node("Add", "b", "a", "c"), node("Relu", "c", "d"), conv("d", "y"))
    # The convolution reads its neighbours in `a`, which it cannot write over meanwhile.
    assert [maps(model, reuse) for reuse in Reuse] == [3, 2, 2]
    apart = graph(
        conv("x", "a"), node("Add", "x", "a", "b"), conv("b", "c"), conv("c", "d"), node("Add", "d", "b", "y")
    )
    assert [maps(apart, reuse) for reuse in Reuse] == [3, 3, 2]


def test_of_two_convolutions_that_are_added_the_later_adds_to_the_earlier() -> None:
    model = graph(conv("x", "a"), conv("x", "b"), node("Add", "b", "a", "y"))
    assert [maps(model, reuse) for reuse in Reuse] == [3, 3, 2]
    assert set(largest_live_set(model, SIDE, Reuse.IN_PLACE).tensors) == {"x", "a", "b"}
    onwards = graph(conv("x", "a"), conv("x", "b"), node("Add", "b", "a", "c"), conv("c", "d"), conv("c", "y"))
    assert set(largest_live_set(onwards, SIDE).tensors) == {"x", "a"}


def test_a_convolution_whose_result_is_read_twice_is_fused_with_neither() -> None:
    model = graph(conv("x", "a"), conv("a", "b"), node("Add", "b", "a", "c"), node("Mul", "c", "b", "y"))
    assert [maps(model, reuse) for reuse in Reuse] == [3, 2, 2]


def test_views_take_nothing_and_keep_what_they_view() -> None:
    model = graph(conv("x", "a"), node("Identity", "a", "v"), conv("x", "b"), node("Concat", "v", "b", "y", axis=1))
    assert [maps(model, reuse) for reuse in Reuse] == [4, 4, 4]
    assert set(largest_live_set(model, SIDE).tensors) == {"a", "b", "y"}


def test_what_nothing_reads_lives_while_it_is_made() -> None:
    model = graph(conv("x", "unread"), conv("x", "y"))
    assert [maps(model, reuse) for reuse in Reuse] == [2, 2, 2]


def test_half_precision_takes_half() -> None:
    nodes = (conv("x", "a"), conv("a", "y"))
    assert maps(graph(*nodes, kind=TensorProto.FLOAT16), Reuse.NONE) == maps(graph(*nodes), Reuse.NONE) / 2


@st.composite
def chains(draw: st.DrawFn) -> list[NodeProto]:
    """Nodes that each read some of the tensors before them."""
    names, nodes = ["x"], []
    for index in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["Conv", "Gelu", "Add", "Identity"]))
        read = [draw(st.sampled_from(names)) for _ in range(2 if kind == "Add" else 1)]
        name = f"t{index}"
        nodes.append(conv(read[0], name) if kind == "Conv" else node(kind, *read, name))
        names.append(name)
    return nodes


@given(chains())
@settings(max_examples=60, deadline=None)
def test_without_reuse_it_is_the_most_tensors_between_their_maker_and_their_last_reader(nodes: list[NodeProto]) -> None:
    model = graph(*nodes, out=nodes[-1].output[0])
    source = {"x": "x", "w": "w"}
    for entry in nodes:
        name = entry.output[0]
        source[name] = source[entry.input[0]] if entry.op_type == "Identity" else name
    working = [entry for entry in nodes if entry.op_type != "Identity"]
    made, last = {"x": -1}, {"x": 0}
    for index, entry in enumerate(working):
        made[entry.output[0]] = index
        last |= {source[name]: index for name in (*entry.input, entry.output[0])}
    last[source[nodes[-1].output[0]]] = len(working)
    alive = [sum(made[name] <= index <= last[name] for name in made) for index in range(len(working))]
    assert maps(model, Reuse.NONE) == max(alive, default=1)


@given(chains())
@settings(max_examples=60, deadline=None)
def test_reuse_never_takes_more(nodes: list[NodeProto]) -> None:
    model = graph(*nodes, out=nodes[-1].output[0])
    none, in_place, fused = (maps(model, reuse) for reuse in Reuse)
    assert none >= in_place >= fused >= 1


@pytest.mark.parametrize("io", list(IOFormat))
def test_adding_blocks_up_spares_the_outputs_of_all_of_them(io: IOFormat) -> None:
    network = load_network(DEFAULT_WEIGHTS, EFDN)
    picture = io is IOFormat.UINT8
    joined, added = (
        largest_live_set(
            write_onnx(
                deploy_network(network, find_passes(text, pictures=picture)), precision=Precision.FP32, opset=20, io=io
            ),
            (64, 48),
        ).bytes
        for text in ("onnxruntime,-add_up_blocks", "onnxruntime,+add_up_blocks")
    )
    # Twelve maps of 48 channels, and again as their concatenation, against some seven.
    assert joined >= 24 * 48 * 4 * 64 * 48
    assert added < 0.35 * joined


def test_the_packaged_graph_takes_as_many_bytes_a_pixel_at_any_size() -> None:
    model = onnx.load(DEFAULT_ONNX)
    large, small = (largest_live_set(model, side).bytes / (side[0] * side[1]) for side in ((720, 1280), (256, 256)))
    # Borders that are continued around a map weigh more in a small one.
    assert large < small < 1.02 * large


def test_sizes_of_activations_are_those_of_the_picture() -> None:
    sizes = activation_bytes(onnx.load(DEFAULT_ONNX), (32, 40))
    assert sizes["input"] == 4 * 3 * 32 * 40
    assert sizes["output"] == 16 * sizes["input"]


def test_a_graph_of_another_fixed_size_is_refused() -> None:
    model = graph(conv("x", "y"), shape=[1, 3, 16, 16])
    assert maps(graph(conv("x", "y"), shape=[1, 3, *SIDE]), Reuse.NONE) == 2
    with pytest.raises(ShapeError, match="takes 16 on axis 2, got 8"):
        largest_live_set(model, SIDE)


def test_shapes_that_depend_on_values_are_refused() -> None:
    model = graph(node("NonZero", "x", "a"), node("Cast", "a", "y", to=TensorProto.FLOAT))
    with pytest.raises(ExportError, match="shape of a does not follow"):
        largest_live_set(model, SIDE)


def test_outputs_that_are_left_out_have_no_shape_to_follow() -> None:
    pool = helper.make_node("MaxPool", ["x"], ["a", ""], name="a", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    clip = helper.make_node("Clip", ["b", "", "high"], ["y"], name="y")
    model = graph(pool, conv("a", "b"), clip)
    model.graph.initializer.append(helper.make_tensor("high", TensorProto.FLOAT, [], [1.0]))
    assert [maps(model, reuse) for reuse in Reuse] == [2, 2, 2]
