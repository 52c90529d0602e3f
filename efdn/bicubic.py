"""Bicubic scaling of 8-bit pictures as in super-resolution's benchmarks.

The field's low-resolution pictures come from MATLAB's `imresize`: the cubic
kernel with a = -0.5, stretched by the scale when it shrinks (antialiasing), rows
before columns, rounded and clipped to 8 bits after each. Pillow's BICUBIC is the
same kernel, stretched and rounded in the same way; it takes columns first unless
told otherwise, and at edges leaves out what lies outside, where the benchmarks'
pictures go on with their outermost pixels. With both seen to, the LR files of
Set5, Set14 and BSD100 come out bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ShapeError

Pixels = NDArray[np.uint8]

KERNEL_REACH = 2
"""How far the cubic kernel reaches to each side, in pixels of the smaller picture."""


def downscale(hr: Pixels, scale: int) -> Pixels:
    """Shrinks a picture `scale` times, with antialiasing.

    Args:
        hr: (H, W, 3) uint8, both sides multiples of `scale`.
        scale: 1 or more.

    Returns:
        (H / scale, W / scale, 3) uint8.

    Raises:
        ShapeError: a side is no multiple of `scale`; `modcrop` makes it one.
    """
    height, width = hr.shape[:2]
    if height % scale or width % scale:
        raise ShapeError(
            f"cannot shrink {height}x{width} (height x width) {scale} times: "
            f"expected sides that are multiples of {scale}, crop them with modcrop"
        )
    margin = KERNEL_REACH * scale
    wide = _resized(_continued(hr, margin), height // scale + 2 * KERNEL_REACH, width // scale + 2 * KERNEL_REACH)
    return np.ascontiguousarray(wide[KERNEL_REACH:-KERNEL_REACH, KERNEL_REACH:-KERNEL_REACH])


def upscale(lr: Pixels, scale: int) -> Pixels:
    """Enlarges a picture `scale` times.

    Args:
        lr: (H, W, 3) uint8.
        scale: 1 or more.

    Returns:
        (scale * H, scale * W, 3) uint8.
    """
    height, width = lr.shape[:2]
    margin = KERNEL_REACH * scale
    wide = _resized(_continued(lr, KERNEL_REACH), scale * height + 2 * margin, scale * width + 2 * margin)
    return np.ascontiguousarray(wide[margin:-margin, margin:-margin])


def modcrop(pixels: Pixels, scale: int) -> Pixels:
    """The upper left part of a picture whose sides are the largest multiples of `scale`.

    Args:
        pixels: (H, W, 3), both sides at least `scale`.
        scale: 1 or more.

    Returns:
        A view of (H - H % scale, W - W % scale, 3).

    Raises:
        ShapeError: a side is smaller than `scale`, so that nothing would be left.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < scale:
        raise ShapeError(f"cannot crop {height}x{width} to multiples of {scale}: expected sides of at least {scale}")
    return pixels[: height - height % scale, : width - width % scale]


def _continued(pixels: Pixels, margin: int) -> Pixels:
    """The picture with its outermost pixels repeated beyond all edges."""
    return np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Rows first, then columns."""
    from PIL import Image

    tall = Image.fromarray(pixels).resize((pixels.shape[1], height), Image.Resampling.BICUBIC)
    return np.asarray(tall.resize((width, height), Image.Resampling.BICUBIC))
