"""What the writers of all architectures share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar, cast

from torch import Tensor, nn

from efdn.layers import BSConv
from efdn.upscaler import Upscaler
from export.graph_writer import GraphWriter
from export.mixing_writer import array

Shape = tuple[int, int]
"""Height and width, in pixels."""


N = TypeVar("N", bound=Upscaler)


class PartsWriter(ABC, Generic[N]):
    """Writes the parts of one network. The scopes `head`, `body.N`, `fusion`, `refine` and `tail` name them.

    Args:
        writer: takes the nodes.
        network: what to write, in deploy form.
        shape: of the input, where it is static.
        batched: whether it takes any number of pictures all the same.

    Attributes:
        block_output: operator of the node that a block ends with.
    """

    block_output: ClassVar[str]

    def __init__(self, writer: GraphWriter, network: N, shape: Shape | None = None, *, batched: bool = False) -> None:
        self.writer, self.network = writer, network
        self._shape, self._batched = shape, batched

    @abstractmethod
    def write(self, x: str) -> str:
        """From the name of (N, 3, H, W) to that of the sub-pixels, (N, 3 scale^2, H, W)."""

    def coarse_sizes(self, x: str, channels: int) -> str:
        """(N, channels, H, W) as a tensor: what the coarse map of every attention is resized to."""
        writer = self.writer
        if self._shape is not None and not self._batched:
            return writer.integers([1, channels, *self._shape])
        shape = writer.shape(x)
        batch = writer.op("Slice", shape, writer.integers([0]), writer.integers([1]))
        if self._shape is not None:
            return writer.op("Concat", batch, writer.integers([channels, *self._shape]), axis=0)
        sides = writer.op("Slice", shape, writer.integers([2]), writer.integers([4]))
        return writer.op("Concat", batch, writer.integers([channels]), sides, axis=0)

    def conv(self, x: str, name: str, conv: nn.Module) -> str:
        """A convolution, or both halves of a separable one."""
        if isinstance(conv, BSConv):
            with self.writer.scope(name):
                return self.conv(self.conv(x, "pw", conv.pw), "dw", conv.dw)
        plain = cast(nn.Conv2d, conv)
        bias = None if plain.bias is None else array(plain.bias)
        return self.writer.conv(
            x,
            name,
            array(plain.weight),
            bias,
            stride=plain.stride[0],
            padding=int(plain.padding[0]),
            groups=plain.groups,
        )

    def per_channel(self, name: str, values: Tensor) -> str:
        """One constant for each channel."""
        return self.writer.weights(name, array(values).reshape(1, -1, 1, 1))
