"""Layers that the training form and the deploy form of EFDN share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BSConv(nn.Module):
    """Blueprint separable convolution, unconstrained: pointwise, then depthwise 3x3.

    Maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).
    Source: Haase and Amthor, "Rethinking depthwise separable convolutions", CVPR 2020.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.dw = nn.Conv2d(out_channels, out_channels, 3, stride, 1, groups=out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.dw(self.pw(x))  # type: ignore[no-any-return]


class SpatialAttention(nn.Module):
    """Enhanced spatial attention (ESA), as EFDN has it.

    Maps (N, planes, H, W) to a gate of the same shape in 0..1; H and W at least 13.
    Source: Liu et al., "Residual feature aggregation network", CVPR 2020; the
    depth-separable form is EFDN's.

    Args:
        planes: channels in and out.
        inner: channels inside.
    """

    def __init__(self, planes: int, inner: int) -> None:
        super().__init__()
        self.head_conv = nn.Conv2d(planes, inner, 1)
        self.stride_conv: nn.Module = BSConv(inner, inner, stride=2)
        self.group_conv = nn.Sequential(
            BSConv(inner, inner), nn.ReLU(), BSConv(inner, inner), nn.ReLU(), BSConv(inner, inner)
        )
        # The checkpoints' own name; it is a plain skip projection.
        self.useless_conv = nn.Conv2d(inner, inner, 1)
        self.tail_conv = nn.Conv2d(inner, planes, 1)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head_conv(x)
        pooled = F.max_pool2d(self.stride_conv(head), kernel_size=7, stride=3)
        coarse = F.interpolate(self.group_conv(pooled), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.sigmoid(self.tail_conv(coarse + self.useless_conv(head)))


def conv_parts(conv: nn.Conv2d, count: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """A convolution over a concatenation of maps as one for each: their sum is the same.

    Args:
        conv: 1x1, reading `count` maps of as many channels each.
        count: of maps.

    Yields:
        (out, in / count, 1, 1) weights, and the bias with the first of them.
    """
    for index, weight in enumerate(conv.weight.chunk(count, dim=1)):
        yield weight, None if index else conv.bias


def added_up(conv: nn.Conv2d, maps: Iterable[Tensor], count: int) -> Tensor:
    """What `conv` makes of the concatenation of `count` maps, each needed only until it has been added."""
    parts = zip(maps, conv_parts(conv, count), strict=True)
    x, (weight, bias) = next(parts)
    total = F.conv2d(x, weight, bias)
    for x, (weight, _) in parts:
        total = total + F.conv2d(x, weight)
    return total
