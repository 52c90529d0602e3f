"""The three token mixers of a block in deploy form, and the chain they make."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.mixing import Groups, crop, interleaved_groups, mix_grouped, mix_pixels, mix_wrapped, shift_taps, wrap


def per_channel(values: Tensor) -> Tensor:
    """(C,) as (1, C, 1, 1), to go with (N, C, H, W)."""
    return values.view(1, -1, 1, 1)


LARGEST_EXPANDED_SLOPE = 16.0
"""As a multiple of `total`; beyond it the expanded form of a mixer subtracts numbers too large for half precision."""


class FoldedMixer(nn.Module):
    """A token mixer with its residual and its norm: `total * x + slope * (mix(x) - x) + offset`.

    Computed as `(total - slope) * x + slope * mix(x) + offset`, which TensorRT fuses
    over all three mixers of a block into one kernel. Where slopes are large (102 in
    the first mixer of the default weights) the difference is kept: the expanded form
    would subtract two large numbers there.

    Args:
        slope: (C,).
        offset: (C,).
        total: (C,); all ones unless the input comes scaled.
        groups: channel slices of the contiguous groups; None where they are interleaved.

    Attributes:
        taps: the mixer as a depthwise kernel, where it is to be computed as one; see `kernel`.
    """

    slope: Tensor
    offset: Tensor
    total: Tensor
    taps: Tensor | None

    def __init__(
        self, slope: Tensor, offset: Tensor, *, total: Tensor | None = None, groups: Groups | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("slope", slope)
        self.register_buffer("offset", offset)
        self.register_buffer("total", torch.ones_like(slope) if total is None else total)
        self.register_buffer("taps", None)
        self.groups = groups

    @property
    def expanded(self) -> bool:
        """Whether the expanded form is used."""
        return bool((self.slope.abs() <= LARGEST_EXPANDED_SLOPE * self.total.abs()).all())

    @property
    def kernel(self) -> Tensor:
        """The mixer as a depthwise convolution of two taps a channel, (C, 1, 3, 3); its bias is `offset`."""
        channels = len(self.slope)
        groups = interleaved_groups(channels) if self.groups is None else self.groups
        taps = shift_taps(groups, channels).to(self.slope) * self.slope.view(-1, 1, 1, 1)
        taps[:, 0, 1, 1] += self.total - self.slope
        return taps

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape, shifting around the borders."""
        return self.combine(x, mix_pixels(x) if self.groups is None else mix_grouped(x, self.groups))

    def wrapped(self, x: Tensor) -> Tensor:
        """(N, C, H + 2, W + 2) to (N, C, H, W): the borders have been continued already."""
        assert self.groups is not None
        return self.combine(crop(x, 1), mix_wrapped(x, self.groups))

    def convolved(self, x: Tensor) -> Tensor:
        """As `wrapped`, as one depthwise convolution."""
        assert self.taps is not None
        return F.conv2d(x, self.taps, self.offset, groups=len(self.slope))

    def combine(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What comes of a map and its mixed self."""
        slope, offset, total = per_channel(self.slope), per_channel(self.offset), per_channel(self.total)
        if self.expanded:
            return (total - slope) * x + slope * mixed + offset
        return total * x + slope * (mixed - x) + offset


class MixerChain(nn.Module):
    """x, r1, r2, r3: what the four branches of a block read, each `gelu(mixer(previous))`.

    Args:
        mixers: the token mixers.

    Attributes:
        wrap_once: whether the borders are continued once for the whole chain, rather than in each mixer.
        keep_margins: whether the stages keep what is left of that, for their readers to crop; see `margins`.
    """

    def __init__(self, mixers: list[FoldedMixer]) -> None:
        super().__init__()
        self.mixers = nn.ModuleList(mixers)
        self.wrap_once = False
        self.keep_margins = False

    @property
    def convolve(self) -> bool:
        """Whether mixers are depthwise convolutions, rather than slices and concatenations."""
        return self.folded[0].taps is not None

    @property
    def folded(self) -> list[FoldedMixer]:
        """The mixers, typed."""
        return [cast(FoldedMixer, mixer) for mixer in self.mixers]

    @property
    def margins(self) -> tuple[int, ...]:
        """By how many pixels at each border x, r1, r2 and r3 are larger than x."""
        left = range(len(self.mixers) - 1, -1, -1) if self.wrap_once and self.keep_margins else [0] * len(self.mixers)
        return (0, *left)

    def forward(self, x: Tensor) -> list[Tensor]:
        if self.wrap_once:
            return self._wrapped_stages(x)
        stages = [x]
        for mixer in self.folded:
            last = stages[-1]
            stages.append(F.gelu(mixer.convolved(wrap(last, 1)) if self.convolve else mixer(last)))
        return stages

    def _wrapped_stages(self, x: Tensor) -> list[Tensor]:
        stages, margin = [x], len(self.mixers)
        last = wrap(x, margin)
        for mixer in self.folded:
            margin -= 1
            last = F.gelu(mixer.convolved(last) if self.convolve else mixer.wrapped(last))
            stages.append(last if self.keep_margins else crop(last, margin))
        return stages
