"""The activations of a graph that must be in memory at once: how little memory a run can do with.

Nodes run one after the other, in the order of the file. A tensor lives from the node that makes it to the last one
that reads it; a node's inputs and outputs live together. The graph's input and output count, constants do not, and an
operator that only gives values another shape takes nothing. The largest sum over all nodes is the bound. Another order
of the same nodes may do with less; the one that the file has is what engines start from.

How much can be saved on top is a matter of what a run may do to its inputs, `Reuse`: three bounds, each below the one
before. What an engine needs beside activations (weights, packed copies, a copy of padded borders, allocators' slack)
is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import onnx
from onnx import TensorProto, shape_inference

from efdn.errors import ExportError, ShapeError
from efdn.inspection.onnx_file import TYPES
from efdn.shapes import Side

VIEWS = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
ACTIVATIONS = ("Clip", "Erf", "Gelu", "LeakyRelu", "Relu", "Round", "Sigmoid", "Tanh")
ELEMENTWISE = (*ACTIVATIONS, "Add", "Div", "Max", "Min", "Mul", "Sub")


class Reuse(str, Enum):
    """What a run may do to tensors that nothing reads later."""

    NONE = "none"
    """Nothing: every output has a place of its own beside the inputs."""

    IN_PLACE = "in place"
    """An elementwise operator writes over an input of the same size that it is the last to read."""

    FUSED = "fused"
    """Also, an Add that is the only reader of a convolution, and an activation after it, are part of the convolution,
    which writes over what is added. OpenVINO does so on the CPU; ONNX Runtime fuses fewer and else works in place."""


@dataclass(frozen=True, kw_only=True)
class LiveSet:
    """The largest set of activations that live at once.

    Attributes:
        bytes: of all of them.
        node: name of the node, the last of those fused, during which they live.
        tensors: bytes by name, in the order in which they were made; of tensors that share a place, the last.
    """

    bytes: int
    node: str
    tensors: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What runs as one: a node, or several fused.

    Attributes:
        name: of its last node.
        reads: places of activations that it reads.
        writes: places that it makes.
        over: those of `reads` that what it makes may take, where sizes are the same.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    over: tuple[str, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        """Places that it reads or writes."""
        return (*self.reads, *self.writes)


def largest_live_set(model: onnx.ModelProto, side: Side, reuse: Reuse = Reuse.FUSED) -> LiveSet:
    """Derives the largest set of activations that live at once.

    Args:
        model: with nodes in order of execution and one input, a picture as floats or as bytes; sizes may be free.
        side: height and width of the picture, in pixels.
        reuse: what a run may do.

    Raises:
        ShapeError: the graph is fixed to another size.
        ExportError: the graph's shapes do not follow from the picture's.
    """
    sizes, places = activation_bytes(model, side), _places(model.graph)
    steps = list(_steps(model.graph, places, reuse))
    inputs = {entry.name for entry in model.graph.input} & places.keys()
    last = {place: index for index, step in enumerate(steps) for place in (*step.writes, *step.reads)}
    last |= {places[entry.name]: len(steps) for entry in model.graph.output}
    live = {name: sizes[name] for name in inputs}
    largest = LiveSet(bytes=sum(live.values()), node="", tensors=dict(live))
    for index, step in enumerate(steps):
        for made in step.writes:
            taken = (place for place in step.over if last[place] == index and place not in inputs)
            live.pop(next((place for place in taken if live.get(place) == sizes[made]), ""), None)
            live[made] = sizes[made]
        if (total := sum(live.values())) > largest.bytes:
            largest = LiveSet(bytes=total, node=step.name, tensors=dict(live))
        live = {place: size for place, size in live.items() if last.get(place, index) > index}
    return largest


def traffic_bytes(model: onnx.ModelProto, side: Side, reuse: Reuse = Reuse.FUSED) -> int:
    """Bytes of activations that a run reads and writes, each once for every step that does.

    Args:
        model: as for `largest_live_set`.
        side: height and width of the picture, in pixels.
        reuse: FUSED where an Add or an activation after a convolution is part of it.

    Raises:
        ShapeError: the graph is fixed to another size.
        ExportError: the graph's shapes do not follow from the picture's.
    """
    sizes = activation_bytes(model, side)
    return sum(sizes[place] for step in _steps(model.graph, _places(model.graph), reuse) for place in step.touched)


def activation_bytes(model: onnx.ModelProto, side: Side) -> dict[str, int]:
    """Bytes of every tensor that is no constant, by name, for one picture of (height, width).

    Raises:
        ShapeError: the graph is fixed to another size.
        ExportError: the graph's shapes do not follow from the picture's.
    """
    fixed = _fixed(model, side)
    try:
        graph = shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True).graph
    except shape_inference.InferenceError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(
            f"the graph's shapes do not follow from a picture of {side[0]}x{side[1]}: {reason}"
        ) from error
    known = [*graph.input, *graph.value_info, *graph.output]
    sizes = {entry.name: _bytes(entry) for entry in known}
    missing = next((name for node in graph.node for name in node.output if name and sizes.get(name) is None), None)
    if missing is not None:
        raise ExportError(f"the shape of {missing} does not follow from a picture of {side[0]}x{side[1]}: export anew")
    constants = {constant.name for constant in graph.initializer}
    return {name: size for name, size in sizes.items() if size is not None and name not in constants}


def _fixed(model: onnx.ModelProto, side: Side) -> onnx.ModelProto:
    """The model with the input's free sizes fixed, and the output's left to inference."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    constants = {constant.name for constant in model.graph.initializer}
    (entry,) = (entry for entry in result.graph.input if entry.name not in constants)
    tensor = entry.type.tensor_type
    picture = tensor.elem_type == TensorProto.UINT8
    wanted = {0: 1, **dict(zip((1, 2) if picture else (2, 3), side, strict=True))}
    for axis, size in wanted.items():
        dim = tensor.shape.dim[axis]
        if dim.HasField("dim_value") and dim.dim_value != size and axis:
            raise ShapeError(f"the graph takes {dim.dim_value} on axis {axis}, got {size}: give its own size")
        if not dim.HasField("dim_value"):
            dim.dim_value = size
    for output in result.graph.output:
        output.type.tensor_type.ClearField("shape")
    return result


def _bytes(entry: onnx.ValueInfoProto) -> int | None:
    """Of a tensor; None where a side or the type is not known."""
    tensor = entry.type.tensor_type
    sides = [int(dim.dim_value) if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    known = [side for side in sides if side is not None]
    if not tensor.HasField("shape") or len(known) < len(sides) or tensor.elem_type not in TYPES:
        return None
    return math.ceil(math.prod(known) * TYPES[tensor.elem_type][1] / 8)


def _places(graph: onnx.GraphProto) -> dict[str, str]:
    """By tensor that is no constant, the one whose place in memory it has: its own name, but for views."""
    constants = {constant.name for constant in graph.initializer}
    places = {entry.name: entry.name for entry in graph.input if entry.name not in constants}
    for node in graph.node:
        view = node.op_type in VIEWS and node.input[0] in places
        places.update({name: places[node.input[0]] if view else name for name in node.output if name})
    return places


def _steps(graph: onnx.GraphProto, places: Mapping[str, str], reuse: Reuse) -> Iterator[_Step]:
    """What runs, in order; what is fused with a convolution runs where that stands."""
    chains = _chains(graph) if reuse is Reuse.FUSED else {}
    fused = {index for chain in chains.values() for index in chain}
    for index, node in enumerate(graph.node):
        if node.op_type in VIEWS or index in fused:
            continue
        nodes = [node, *(graph.node[part] for part in chains.get(index, ()))]
        made = {name for part in nodes for name in part.output}
        reads = [name for part in nodes for name in part.input if name in places and name not in made]
        over = [name for part in nodes if part.op_type in ELEMENTWISE for name in part.input if name in reads]
        yield _Step(
            name=nodes[-1].name,
            reads=tuple(dict.fromkeys(places[name] for name in reads)),
            writes=tuple(places[name] for name in nodes[-1].output if name),
            over=() if reuse is Reuse.NONE else tuple(dict.fromkeys(places[name] for name in over)),
        )


def _chains(graph: onnx.GraphProto) -> dict[int, Sequence[int]]:
    """By index of a convolution, the indices of the Add and of the activation that are part of it."""
    made_by = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    readers: dict[str, list[int]] = {entry.name: [-1] for entry in graph.output}
    for index, node in enumerate(graph.node):
        for name in node.input:
            readers.setdefault(name, []).append(index)
    chains: dict[int, Sequence[int]] = {}
    for index, node in enumerate(graph.node):
        if node.op_type != "Conv":
            continue
        chain = [index]
        for kinds in (("Add",), ACTIVATIONS):
            result = graph.node[chain[-1]].output[0]
            (reader, *others) = readers.get(result, [-1])
            if reader < 0 or others or graph.node[reader].op_type not in kinds:
                continue
            # What is added has to be there by then: of two convolutions, an Add is part of the later one.
            if all(name == result or made_by.get(name, -1) < index for name in graph.node[reader].input):
                chain.append(reader)
        chains[index] = chain[1:]
    return chains
