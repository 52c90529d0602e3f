"""EFDN in its deploy form: no BatchNorm left, ready to be written as ONNX.

Made by `efdn.folding` and `efdn.transforms` from a trained network; computes the same function.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.config import EFDNConfig
from efdn.layers import BSConv, SpatialAttention
from efdn.mixing import mix_grouped, mix_pixels
from efdn.network import check_input


def per_channel(values: Tensor) -> Tensor:
    """(C,) as (1, C, 1, 1), to go with (N, C, H, W)."""
    return values.view(1, -1, 1, 1)


LARGEST_EXPANDED_SLOPE = 16.0
"""As a multiple of `total`; beyond it the expanded form of a mixer subtracts numbers too large for half precision."""


class FoldedMixer(nn.Module):
    """A token mixer with its residual and its norm: `total * x + slope * (mix(x) - x) + offset`.

    Computed as `(total - slope) * x + slope * mix(x) + offset`, which TensorRT fuses
    over all three mixers of a block into one kernel. Where slopes are large (129 in
    the first mixer of the default weights) the difference is kept: the expanded form
    would subtract two large numbers there.

    Args:
        slope: (C,).
        offset: (C,).
        total: (C,); all ones unless the input comes scaled.
        grouped: whether the channels come with their groups contiguous.
    """

    slope: Tensor
    offset: Tensor
    total: Tensor

    def __init__(self, slope: Tensor, offset: Tensor, *, total: Tensor | None = None, grouped: bool) -> None:
        super().__init__()
        self.register_buffer("slope", slope)
        self.register_buffer("offset", offset)
        self.register_buffer("total", torch.ones_like(slope) if total is None else total)
        self.grouped = grouped

    @property
    def expanded(self) -> bool:
        """Whether the expanded form is used."""
        return bool((self.slope.abs() <= LARGEST_EXPANDED_SLOPE * self.total.abs()).all())

    def forward(self, x: Tensor) -> Tensor:
        mixed = mix_grouped(x) if self.grouped else mix_pixels(x)
        slope, offset, total = per_channel(self.slope), per_channel(self.offset), per_channel(self.total)
        if self.expanded:
            return (total - slope) * x + slope * mixed + offset
        return total * x + slope * (mixed - x) + offset


class DeployBlock(nn.Module):
    """One block without norms: `gain * out * gate(out) + scale * x + offset`.

    Each of gain, scale and offset is None where it is not needed.

    Attributes:
        mixers: the three token mixers.
        branches: the four 1x1 convolutions reading x, r1, r2 and r3.
        fusion: 1x1 over the four activated branches; yields `out`.
        attention: yields `gate`.
        gain: (C,), where the fusion cannot carry all of the norm's scale.
        scale: (C,), of the residual.
        offset: (C,).
    """

    gain: Tensor | None
    scale: Tensor | None
    offset: Tensor | None

    def __init__(
        self,
        mixers: list[FoldedMixer],
        branches: list[nn.Conv2d],
        fusion: nn.Conv2d,
        attention: SpatialAttention,
        *,
        gain: Tensor | None,
        scale: Tensor | None,
        offset: Tensor | None,
    ) -> None:
        super().__init__()
        self.mixers = nn.ModuleList(mixers)
        self.branches = nn.ModuleList(branches)
        self.fusion = fusion
        self.attention = attention
        self.register_buffer("gain", gain)
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        stages = [x]
        for mixer in self.mixers:
            stages.append(F.gelu(mixer(stages[-1])))
        branches = [branch(stage) for branch, stage in zip(self.branches, stages, strict=True)]
        out = self.fusion(F.gelu(torch.cat(branches, dim=1)))
        gated = out * self.attention(out)
        if self.gain is not None:
            gated = per_channel(self.gain) * gated
        result: Tensor = gated + (x if self.scale is None else per_channel(self.scale) * x)
        return result if self.offset is None else result + per_channel(self.offset)


class DeployEFDN(nn.Module):
    """EFDN without norms. Same input, output and errors as `efdn.network.EFDN`.

    Attributes:
        config: hyper-parameters of the network it was made from.
        head: reads the repeated input; a BSConv or a dense convolution.
        head_repeats: how often the input is repeated before the head.
        grouped: whether the trunk's channels have their mixing groups contiguous.
    """

    def __init__(
        self,
        config: EFDNConfig,
        *,
        head: nn.Module,
        body: list[DeployBlock],
        fusion: nn.Conv2d,
        refine: BSConv,
        tail: nn.Conv2d,
        head_repeats: int,
        grouped: bool,
    ) -> None:
        super().__init__()
        self.config = config
        self.head_repeats = head_repeats
        self.grouped = grouped
        self.head = head
        self.body = nn.ModuleList(body)
        self.fusion = fusion
        self.refine = refine
        self.tail = tail

    def forward(self, x: Tensor) -> Tensor:
        check_input(x)
        head = self.head(x.repeat(1, self.head_repeats, 1, 1))
        features, outputs = head, []
        for block in self.body:
            features = block(features)
            outputs.append(features)
        refined = self.refine(F.gelu(self.fusion(torch.cat(outputs, dim=1))))
        return F.pixel_shuffle(self.tail(refined + head), self.config.upscale)
