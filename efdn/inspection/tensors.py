"""What the tensors of a weights file say, by their names and shapes alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from efdn.architectures import marks_text, plain_name, recognise
from efdn.errors import ConfigError
from efdn.inspection.details import Fact, MalformedError, counts_text, printable

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What a norm keeps of the data it has seen; all else in a state dict is learnt."""

MOST_PARTS = 8

MOST_SIDES, SIDE_LIMIT, ELEMENTS_LIMIT = 64, 1 << 40, 1 << 60
"""Beyond what any tensor has; with them, no figure grows too long to be printed."""


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor.

    Attributes:
        name: its key.
        dtype: such as "float32".
        shape: its sides.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def learnable(self) -> bool:
        """Whether training changes it by gradients."""
        return self.name.rpartition(".")[2] not in STATISTICS


def checked_shape(sides: Sequence[object], name: str) -> tuple[int, ...]:
    """The shape of the tensor of that name.

    Raises:
        MalformedError: no tensor can have it.
    """
    shape = tuple(side for side in sides if type(side) is int and 0 <= side < SIDE_LIMIT)
    if len(shape) < len(sides):
        raise MalformedError(f"{printable(name)} has a side that is negative, too large or no whole number")
    if len(shape) > MOST_SIDES or math.prod(shape) >= ELEMENTS_LIMIT:
        raise MalformedError(f"{printable(name)} has more sides or elements than any tensor")
    return shape


def learnable_parameters(tensors: Sequence[TensorEntry]) -> int:
    """How many numbers are learnt."""
    return sum(math.prod(tensor.shape) for tensor in tensors if tensor.learnable)


def tensor_facts(tensors: Sequence[TensorEntry]) -> list[Fact]:
    """Number, types, parameters, network and parts of a state dict."""
    if not tensors:
        return [("tensors", "none")]
    learnable = learnable_parameters(tensors)
    others = sum(math.prod(tensor.shape) for tensor in tensors) - learnable
    parts = Counter(plain_name(tensor.name).split(".")[0] for tensor in tensors)
    types = Counter(tensor.dtype for tensor in tensors)
    rest = sum(count for _, count in parts.most_common()[MOST_PARTS:])
    return [
        ("network", network_of(tensors)),
        ("parameters", f"{learnable:,} learnable" + (f", {others:,} values of running statistics" if others else "")),
        ("tensors", (f"{len(tensors):,}: " if len(types) > 1 else "") + counts_text(types)),
        ("parts", counts_text(dict(parts.most_common(MOST_PARTS))) + (f", {rest:,} in others" if rest else "")),
    ]


def network_of(tensors: Sequence[TensorEntry]) -> str:
    """The network in words, by its first and last convolution; whether all between them fits is not checked."""
    shapes = {plain_name(tensor.name): tensor.shape for tensor in tensors}
    architecture = recognise(shapes)
    if architecture is None:
        return f"none known here: no {marks_text()}"
    try:
        return str(architecture.read_config(shapes))
    except ConfigError as error:
        return f"like {architecture.name}, but {error}"
