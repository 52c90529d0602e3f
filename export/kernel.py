"""One kernel of a TensorRT engine: what it reads, writes and computes, as far as its builder says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

MOVING = frozenset({"Conc", "Copy", "Gath", "Move", "Pad", "Repl", "Resh", "Slic", "Tran"})
"""The builder's short names for operations that leave every value as it is. A cast does not."""

_BYTES = {"bool": 1, "int8": 1, "uint8": 1, "int32": 4, "int64": 8, "fp8": 1, "half": 2, "bfloat16": 2, "float": 4}
_GENERATED = re.compile(r"__myl_([A-Za-z0-9]+)")
_BLOCK = re.compile(r"\bbody\.(\d+)/")


class Category(str, Enum):
    """What a kernel is to a reader, whatever its builder calls it."""

    CONVOLUTION = "convolution"
    POINTWISE = "pointwise"
    POOLING = "pooling"
    RESIZE = "resize"
    COPY = "copy"
    OTHER = "other"


_CATEGORY_OF_KIND = (
    (re.compile("correlation|conv|gemm|matmul|matrixmul", re.I), Category.CONVOLUTION),
    (re.compile("pool", re.I), Category.POOLING),
    (re.compile("resize", re.I), Category.RESIZE),
    (re.compile("reformat|shuffle|slice|concat", re.I), Category.COPY),
    (re.compile("pointwise|elementwise|activation", re.I), Category.POINTWISE),
)


@dataclass(frozen=True, kw_only=True)
class PlanTensor:
    """A tensor that a kernel reads or writes.

    Attributes:
        name: as the builder gave it.
        shape: elements along each axis, -1 where only the run decides; None where the source does not say.
        dtype: lower case, such as "half", "float" or "uint8".
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str

    @property
    def bytes(self) -> int | None:
        """Size without padding; None where an axis is dynamic or the type is not known."""
        if self.shape is None or min(self.shape, default=0) < 0 or self.dtype not in _BYTES:
            return None
        return math.prod(self.shape) * _BYTES[self.dtype]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One entry of a plan. Sizes are in bytes, and None where that of a tensor is not known.

    Attributes:
        name: as the builder gave it.
        kind: what the builder calls its sort, such as "correlation" or "kgen".
        inputs: activations it reads, each once.
        outputs: what it writes.
        constants: weights and other fixed values.
        layers: ONNX nodes it was made of.
    """

    name: str
    kind: str
    inputs: tuple[PlanTensor, ...] = ()
    outputs: tuple[PlanTensor, ...] = ()
    constants: tuple[PlanTensor, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def output_types(self) -> tuple[str, ...]:
        """Types of the outputs."""
        return tuple(output.dtype for output in self.outputs)

    @property
    def half(self) -> bool:
        """Whether it puts out half precision, of either kind."""
        return not {"half", "bfloat16"}.isdisjoint(self.output_types)

    @property
    def bytes_read(self) -> int | None:
        """Size of the activations it reads, each name counted once and whole, even where only a slice is used."""
        return total_bytes({tensor.name: tensor.bytes for tensor in self.inputs}.values())

    @property
    def bytes_written(self) -> int | None:
        """Size of the outputs."""
        return total_bytes({tensor.name: tensor.bytes for tensor in self.outputs}.values())

    @property
    def bytes_moved(self) -> int | None:
        """Activations read and written."""
        return total_bytes((self.bytes_read, self.bytes_written))

    @property
    def constant_bytes(self) -> int | None:
        """Size of the weights, each name counted once."""
        return total_bytes({tensor.name: tensor.bytes for tensor in self.constants}.values())

    @property
    def operations(self) -> tuple[str, ...]:
        """Short names such as "Slic" and "Resi", in order; "Etc" where the builder cut the list off."""
        generated = _GENERATED.match(self.name)
        return tuple(re.findall("[A-Z][a-z0-9]*", generated[1])) if generated else ()

    @property
    def category(self) -> Category:
        """What it mainly does; arithmetic on elements takes the resizes and copies fused with it along."""
        operations = set(self.operations)
        by_kind = next((category for kind, category in _CATEGORY_OF_KIND if kind.search(self.kind)), Category.OTHER)
        if not operations or by_kind in (Category.CONVOLUTION, Category.POOLING):
            return by_kind
        if "Corr" in operations:
            return Category.CONVOLUTION
        if operations <= MOVING:
            return Category.COPY
        return Category.RESIZE if operations - MOVING == {"Resi"} else Category.POINTWISE

    @property
    def copies_only(self) -> bool:
        """Whether it surely computes nothing: a list of operations that was cut off, or an unknown one, proves none."""
        return self.category is Category.COPY

    @property
    def block(self) -> int | None:
        """Index of the last body block that its layers, or without any its name, belong to."""
        found = _BLOCK.findall(" ".join(self.layers or (self.name,)))
        return max(map(int, found), default=None)


def total_bytes(sizes: Iterable[int | None]) -> int | None:
    """The sum, or None where one of them is not known."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total
