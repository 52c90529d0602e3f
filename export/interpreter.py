"""Runs an ONNX graph node by node in PyTorch, each node in the graph's own types.

ONNX Runtime computes most of a half-precision graph in float32 on a CPU, and so
neither overflows nor rounds where an accelerator would. Here every node rounds,
and every tensor can be looked at on the way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import AttributeProto, helper
from torch import Tensor

from efdn.errors import ExportError, ShapeError
from export.interpreter_layout import tensor_from_proto, torch_type
from export.interpreter_ops import OPERATORS

Observe = Callable[[str, str, Tensor], None]
"""Told the name, operator and value of a float tensor right after it is made."""

Values = dict[str, Tensor]


def run_graph(
    model: onnx.ModelProto | bytes, feeds: Mapping[str, NDArray[Any]], *, observe: Observe | None = None
) -> dict[str, NDArray[Any]]:
    """Runs a graph on the CPU; a tensor is let go after its last use.

    Args:
        model: of the default operator set, 17 or later, with weights inside.
        feeds: every input by name, in the graph's type and fixed sizes; bfloat16 as float32.
        observe: sees the float tensors that nodes make, in order. It must not change
            them, and keeps them in memory for as long as it holds them.

    Returns:
        The outputs by name in the graph's type; float32 for bfloat16, which NumPy does not have.

    Raises:
        ExportError: a node's operator is not known or cannot be computed as it is written, or a type is not known.
        ShapeError: the inputs are not those that the graph takes.
    """
    graph = (onnx.load_model_from_string(model) if isinstance(model, bytes) else model).graph
    _require_known_operators(graph)
    done_with = _done_with(graph)
    with torch.inference_mode():
        values = {tensor.name: tensor_from_proto(tensor) for tensor in graph.initializer} | _inputs(graph, feeds)
        for index, node in enumerate(graph.node):
            _run_node(node, values, observe)
            for name in done_with[index]:
                del values[name]
        return {output.name: _to_numpy(_value(values, output.name)) for output in graph.output}


def _require_known_operators(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            full = f"{node.domain}.{node.op_type}".removeprefix(".")
            raise ExportError(
                f"operator {full} of node '{node.name}' is not one that can be interpreted: {', '.join(OPERATORS)}"
            )


def _done_with(graph: onnx.GraphProto) -> dict[int, list[str]]:
    """By index of node, the tensors that nothing after it reads."""
    last = {name: index for index, node in enumerate(graph.node) for name in [*node.input, *node.output] if name}
    kept = {output.name for output in graph.output}
    done: dict[int, list[str]] = defaultdict(list)
    for name, index in last.items():
        if name not in kept:
            done[index].append(name)
    return done


def _inputs(graph: onnx.GraphProto, feeds: Mapping[str, NDArray[Any]]) -> Values:
    initialized = {tensor.name for tensor in graph.initializer}
    wanted = {entry.name: entry.type.tensor_type for entry in graph.input if entry.name not in initialized}
    if set(wanted) != set(feeds):
        raise ShapeError(f"expected inputs {sorted(wanted)}, got {sorted(feeds)}")
    return {name: _input(name, kind, feeds[name]) for name, kind in wanted.items()}


def _input(name: str, kind: onnx.TypeProto.Tensor, feed: NDArray[Any]) -> Tensor:
    value, dtype = torch.tensor(np.ascontiguousarray(feed)).reshape(feed.shape), torch_type(kind.elem_type)
    if dtype is torch.bfloat16 and value.dtype is torch.float32:
        value = value.to(dtype)
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    fits = not kind.HasField("shape") or (
        len(sizes) == value.dim() and all(size in (None, got) for size, got in zip(sizes, value.shape, strict=True))
    )
    if value.dtype is not dtype or not fits:
        raise ShapeError(f"input '{name}' must be {dtype} of {sizes}, got {value.dtype} of {list(value.shape)}")
    return value


def _run_node(node: onnx.NodeProto, values: Values, observe: Observe | None) -> None:
    """Adds a node's outputs to the values."""
    inputs = [_value(values, name) if name else None for name in node.input]
    try:
        made = OPERATORS[node.op_type](*inputs, **_attributes(node))
        outputs = [made] if isinstance(made, Tensor) else made
        if len(outputs) != len(node.output):
            raise ValueError(f"expected {len(outputs)} outputs, got {len(node.output)}")
    except (ExportError, RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise ExportError(f"node '{node.name}' ({node.op_type}) cannot be computed: {reason}") from error
    values.update(zip(node.output, outputs, strict=True))
    for name, value in zip(node.output, outputs, strict=True):
        if observe is not None and value.is_floating_point():
            observe(name, node.op_type, value)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    attributes = {entry.name: _attribute(entry) for entry in node.attribute}
    if node.op_type == "Split":  # before opset 18 only the node's outputs tell how many
        attributes.setdefault("num_outputs", len(node.output))
    return attributes


def _attribute(entry: AttributeProto) -> Any:
    value = helper.get_attribute_value(entry)
    if entry.type == AttributeProto.TENSOR:
        return tensor_from_proto(value)
    return value.decode() if entry.type == AttributeProto.STRING else value


def _value(values: Values, name: str) -> Tensor:
    if name not in values:
        raise ExportError(f"tensor '{name}' is read before any node makes it: nodes must be in order of execution")
    return values[name]


def _to_numpy(value: Tensor) -> NDArray[Any]:
    """A copy, for the value may be a view of something larger."""
    result: NDArray[Any] = (value.float() if value.dtype is torch.bfloat16 else value).numpy().copy()
    return result


@dataclass(frozen=True, kw_only=True)
class TensorRange:
    """How large a tensor's values are.

    Attributes:
        name: of the tensor.
        op_type: operator that made it.
        dtype: its type, as PyTorch names it.
        largest: largest absolute value; not a number where one of the values is none.
        share: of the largest finite value of its type.
    """

    name: str
    op_type: str
    dtype: str
    largest: float
    share: float


class Ranges:
    """Observes how near tensors come to the limit of their type.

    Attributes:
        tensors: ranges by name, in order of execution.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, TensorRange] = {}

    def __call__(self, name: str, op_type: str, value: Tensor) -> None:
        # Least and greatest are not a number where one value is none.
        largest = max(map(abs, torch.stack(value.aminmax()).tolist())) if value.numel() else 0.0
        self.tensors[name] = TensorRange(
            name=name,
            op_type=op_type,
            dtype=str(value.dtype).removeprefix("torch."),
            largest=largest,
            share=largest / torch.finfo(value.dtype).max,
        )

    @property
    def first_non_finite(self) -> str | None:
        """The first tensor with an infinite value or one that is not a number."""
        return next((name for name, entry in self.tensors.items() if not isfinite(entry.largest)), None)

    def tightest(self, count: int) -> list[TensorRange]:
        """The tensors nearest to the limit of their type, the nearest first; not finite is nearest."""
        nearest = sorted(self.tensors.values(), key=lambda entry: -inf if isnan(entry.share) else -entry.share)
        return nearest[:count]


class Reference:
    """Observes a run and keeps float32 copies of tensors for `Divergence`.

    Args:
        wanted: whether the tensor of a name is kept.

    Attributes:
        tensors: copies by name.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.tensors: Values = {}
        self._wanted = wanted

    def __call__(self, name: str, op_type: str, value: Tensor) -> None:
        if self._wanted(name):
            self.tensors[name] = value.to(torch.float32, copy=True)


class Divergence:
    """Observes how far a run departs from another of the same names.

    Args:
        reference: tensors of the other run, as `Reference` keeps them. Others are passed over.

    Attributes:
        errors: by name, in order of execution: rms of the difference divided by rms of the
            reference; 0 where both are zero, not finite where a value is not.
    """

    def __init__(self, reference: Mapping[str, Tensor]) -> None:
        self.errors: dict[str, float] = {}
        self._reference = reference

    def __call__(self, name: str, op_type: str, value: Tensor) -> None:
        if name not in self._reference:
            return
        expected = self._reference[name].double()
        if expected.shape != value.shape:
            raise ShapeError(
                f"tensor '{name}' must be {list(expected.shape)}, as in the reference; got {list(value.shape)}"
            )
        difference, size = (float(x.square().mean().sqrt()) for x in (value.double() - expected, expected))
        self.errors[name] = difference / size if size else (inf if difference else 0.0)
