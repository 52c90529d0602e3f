"""What the tensors of a weights file say, by their names and shapes alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from efdn.inspection.details import Fact, MalformedError, counts_text, printable

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What a norm keeps of the data it has seen; all else in a state dict is learnt."""

DATA_PARALLEL_PREFIX = "module."
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
    parts = Counter(tensor.name.removeprefix(DATA_PARALLEL_PREFIX).split(".")[0] for tensor in tensors)
    types = Counter(tensor.dtype for tensor in tensors)
    rest = sum(count for _, count in parts.most_common()[MOST_PARTS:])
    return [
        ("network", network_of(tensors) or "not EFDN: no head.pw.weight and tail.0.weight of EFDN's shapes"),
        ("parameters", f"{learnable:,} learnable" + (f", {others:,} values of running statistics" if others else "")),
        ("tensors", (f"{len(tensors):,}: " if len(types) > 1 else "") + counts_text(types)),
        ("parts", counts_text(dict(parts.most_common(MOST_PARTS))) + (f", {rest:,} in others" if rest else "")),
    ]


def network_of(tensors: Sequence[TensorEntry]) -> str | None:
    """The network in words where head and tail are EFDN's; whether all between them fits is not checked."""
    shapes = {tensor.name.removeprefix(DATA_PARALLEL_PREFIX): tensor.shape for tensor in tensors}
    head, tail = shapes.get("head.pw.weight", ()), shapes.get("tail.0.weight", ())
    if len(head) != 4 or len(tail) != 4:
        return None
    scale = math.isqrt(max(tail[0], 0) // 3)
    if scale == 0 or 3 * scale**2 != tail[0]:
        return None
    blocks = {match[1] for name in shapes if (match := re.match(r"body\.(\d+)\.", name))}
    return f"EFDN x{scale}, {printable(str(head[0]))} channels, {len(blocks)} blocks"
