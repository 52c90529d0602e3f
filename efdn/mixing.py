"""Pixel mixing: the parameter-free token mixer of EFDN.

Channels form five groups by `c mod 5`. Four of them move by one pixel, each in
its own direction and around the border; the fifth stays. Three expressions of the
same function live here: slices and concatenations around the border, which compilers
fuse away and ONNX states directly; plain slices of a map that has been wrapped
before; and the published one, a circular pad followed by a fixed depthwise 3x3
convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFTS: tuple[tuple[int, int], ...] = ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 0))
"""Per group, (dy, dx) such that `out[y, x] = in[y + dy, x + dx]`, indices taken around the border."""

GROUPS = len(SHIFTS)

Groups = tuple[slice, ...]
"""Channel slices, one per shift."""


def interleaved_groups(channels: int) -> Groups:
    """Channel slices of the five groups in the published order (`c mod 5`)."""
    return tuple(slice(group, channels, GROUPS) for group in range(GROUPS))


def contiguous_groups(channels: int) -> Groups:
    """Channel slices of the five groups once `grouping_permutation` has been applied."""
    bounds = [0]
    for group in range(GROUPS):
        bounds.append(bounds[-1] + len(range(group, channels, GROUPS)))
    return tuple(slice(start, stop) for start, stop in pairwise(bounds))


def grouping_permutation(channels: int) -> list[int]:
    """`p` such that `x[:, p]` has its groups contiguous, for x in the published order."""
    return [channel for group in interleaved_groups(channels) for channel in range(channels)[group]]


def inverse_permutation(permutation: Sequence[int]) -> list[int]:
    """`q` such that `x[p][q] == x`."""
    inverse = [0] * len(permutation)
    for position, channel in enumerate(permutation):
        inverse[channel] = position
    return inverse


def shift(x: Tensor, dy: int, dx: int) -> Tensor:
    """Moves a map by one pixel around the border: `out[y, x] = in[y + dy, x + dx]`.

    Args:
        x: (..., H, W), H and W at least 1.
        dy: -1, 0 or 1.
        dx: -1, 0 or 1.
    """
    for dim, step in ((-2, dy), (-1, dx)):
        if step:
            cut = 1 if step > 0 else x.shape[dim] - 1
            first, rest = x.tensor_split((cut,), dim=dim)
            x = torch.cat((rest, first), dim=dim)
    return x


def mix_pixels(x: Tensor) -> Tensor:
    """Pixel mixing by slices and concatenation.

    Args:
        x: (N, C, H, W), channels in the published order, H and W at least 1.

    Returns:
        (N, C, H, W), same order.
    """
    groups = interleaved_groups(x.shape[1])
    mixed = mix_grouped(torch.cat([x[:, group] for group in groups], dim=1))
    return mixed[:, inverse_permutation(grouping_permutation(x.shape[1]))]


def mix_grouped(x: Tensor, groups: Groups | None = None) -> Tensor:
    """Pixel mixing of channels whose groups are contiguous: plain slices, no reordering.

    Args:
        x: (N, C, H, W), channels permuted by `grouping_permutation`.
        groups: where the groups are, if not at `contiguous_groups`.

    Returns:
        (N, C, H, W), same order.
    """
    groups = contiguous_groups(x.shape[1]) if groups is None else groups
    return torch.cat([shift(x[:, group], dy, dx) for group, (dy, dx) in zip(groups, SHIFTS, strict=True)], dim=1)


def wrap(x: Tensor, width: int) -> Tensor:
    """Continues a map around its borders: (..., H, W) to (..., H + 2 width, W + 2 width), H and W at least `width`."""
    return F.pad(x, [width] * 4, mode="circular")


def crop(x: Tensor, width: int) -> Tensor:
    """Takes `width` pixels off each border of (..., H, W)."""
    return x[..., width : x.shape[-2] - width, width : x.shape[-1] - width] if width else x


def mix_wrapped(x: Tensor, groups: Groups) -> Tensor:
    """Pixel mixing of a map that goes on beyond its borders: every group is a plain slice.

    Args:
        x: (N, C, H + 2, W + 2), see `wrap`.
        groups: channel slices.

    Returns:
        (N, C, H, W), channels in the order of the groups.
    """
    height, width = x.shape[-2:]
    return torch.cat(
        [
            x[:, group, 1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]
            for group, (dy, dx) in zip(groups, SHIFTS, strict=True)
        ],
        dim=1,
    )


def shift_taps(groups: Groups, channels: int) -> Tensor:
    """Mixing as a depthwise kernel: (channels, 1, 3, 3), a one where each channel reads from."""
    kernel = torch.zeros(channels, 1, 3, 3)
    for group, (dy, dx) in zip(groups, SHIFTS, strict=True):
        kernel[group, 0, 1 + dy, 1 + dx] = 1
    return kernel


def mix_pixels_published(x: Tensor) -> Tensor:
    """Pixel mixing as the published code computes it; the reference of the others.

    Args:
        x: (N, C, H, W), channels in the published order, H and W at least 1.

    Returns:
        (N, C, H, W), same order.
    """
    channels = x.shape[1]
    kernel = _published_kernel(channels, x.dtype, x.device)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel, groups=channels)


@lru_cache(maxsize=8)
def _published_kernel(channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Outside inference mode: a tensor made inside it could not be used for training later.
    with torch.inference_mode(False):
        return shift_taps(interleaved_groups(channels), channels).to(dtype=dtype, device=device)
