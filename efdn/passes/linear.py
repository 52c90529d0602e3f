"""What the passes do to single convolutions. Functions that change a convolution are for copies that a pass owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efdn.folding import bias_of
from efdn.layers import BSConv


def frozen(values: Tensor) -> nn.Parameter:
    """A parameter of its own memory that no optimiser will touch."""
    return nn.Parameter(values.detach().clone(), requires_grad=False)


def conv_of(weight: Tensor, bias: Tensor | None, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution zero-padded by half its kernel.

    Args:
        weight: (out, in / groups, k, k), k odd.
        bias: (out,), or None.
        stride: both ways.
        groups: of channels.
    """
    size = weight.shape[2]
    inputs, outputs = weight.shape[1] * groups, weight.shape[0]
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=bias is not None)
    conv.weight = frozen(weight)
    if bias is not None:
        conv.bias = frozen(bias)
    return conv


def matrix(conv: nn.Conv2d) -> Tensor:
    """The (out, in) matrix of a 1x1 convolution."""
    return conv.weight.flatten(1)


def pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """A 1x1 convolution from an (out, in) matrix and, if any, a bias of (out,)."""
    return conv_of(weight[:, :, None, None], bias)


def composed(outer: nn.Conv2d, inner: nn.Conv2d) -> nn.Conv2d:
    """`outer(inner(x))` of two 1x1 convolutions as one."""
    return pointwise(matrix(outer) @ matrix(inner), matrix(outer) @ bias_of(inner) + bias_of(outer))


def merged(conv: nn.Module) -> nn.Module:
    """A BSConv as one dense convolution; anything else as it is.

    Exact at the borders too: the pointwise half has no bias, so what the depthwise
    half pads with stays zero.
    """
    if not isinstance(conv, BSConv):
        return conv
    weight = conv.dw.weight * conv.pw.weight.view(conv.pw.out_channels, conv.pw.in_channels, 1, 1)
    return conv_of(weight, bias_of(conv.dw), stride=conv.dw.stride[0])


def read_affinely(conv: nn.Conv2d, scale: Tensor, offset: Tensor) -> None:
    """Makes a 1x1 convolution of x take u, where x = scale * u + offset, both (in,)."""
    bias_of(conv).add_(matrix(conv) @ offset)
    conv.weight.mul_(scale.view(1, -1, 1, 1))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where channels go: channel i to `positions[i]` of `size`; the rest is zero."""

    positions: tuple[int, ...]
    size: int

    def spread(self, values: Tensor, dim: int, fill: float = 0.0) -> Tensor:
        """Values with a dimension laid out anew."""
        shape = list(values.shape)
        shape[dim] = self.size
        result = torch.full(shape, fill, dtype=values.dtype, device=values.device)
        return result.index_copy(dim, torch.tensor(self.positions, device=values.device), values)


def padded_layout(count: int, size: int, *, repeats: int = 1) -> Layout:
    """`repeats` runs of `count` channels, each filled up to `size`."""
    return Layout(
        positions=tuple(run * size + channel for run in range(repeats) for channel in range(count)),
        size=size * repeats,
    )


def reordered(order: Sequence[int]) -> Layout:
    """The layout by which `order[k]` goes to k."""
    positions = [0] * len(order)
    for position, channel in enumerate(order):
        positions[channel] = position
    return Layout(positions=tuple(positions), size=len(order))


def lay_out_outputs(conv: nn.Module, layout: Layout) -> None:
    """Moves what a convolution puts out; of a BSConv both halves, for the depthwise one keeps channels apart."""
    if isinstance(conv, BSConv):
        lay_out_outputs(conv.pw, layout)
        lay_out_outputs(conv.dw, layout)
        # Not told by its groups: with a single channel a depthwise convolution has one, as any other.
        conv.dw.in_channels = conv.dw.groups = layout.size
        return
    assert isinstance(conv, nn.Conv2d)
    conv.weight = frozen(layout.spread(conv.weight, 0))
    if conv.bias is not None:
        conv.bias = frozen(layout.spread(conv.bias, 0))
    conv.out_channels = layout.size


def lay_out_inputs(conv: nn.Module, layout: Layout) -> None:
    """Moves what a convolution reads; of a BSConv the pointwise half."""
    reading = conv.pw if isinstance(conv, BSConv) else conv
    assert isinstance(reading, nn.Conv2d)
    reading.weight = frozen(layout.spread(reading.weight, 1))
    reading.in_channels = layout.size
