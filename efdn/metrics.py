"""PSNR and SSIM of pictures, as super-resolution papers measure them.

Pictures are (H, W, C) or (H, W) arrays on the 0..255 scale unless a `data_range`
says otherwise. Computed in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ShapeError

Picture = NDArray[Any]

LUMA_WEIGHTS = (65.481, 128.553, 24.966)
"""ITU-R BT.601 studio-swing luma of RGB in 0..1, to which 16 is added: MATLAB's rgb2ycbcr."""

SSIM_WINDOW, SSIM_SIGMA, SSIM_K1, SSIM_K2 = 11, 1.5, 0.01, 0.03


def luma(rgb: Picture) -> NDArray[np.float64]:
    """Y of (H, W, 3) RGB in 0..255, as (H, W) float64 in 16..235, not rounded."""
    y: NDArray[np.float64] = np.asarray(rgb, dtype=np.float64) / 255 @ np.asarray(LUMA_WEIGHTS) + 16
    return y


def psnr(reference: Picture, candidate: Picture, *, border: int = 0, data_range: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures.

    Args:
        reference: (H, W, C) or (H, W).
        candidate: same shape.
        border: pixels left out on each side, usually the scale.
        data_range: value of white.

    Raises:
        ShapeError: the shapes differ, or nothing is left inside the border.
    """
    difference = crop(candidate, border).astype(np.float64) - crop(reference, border, like=candidate)
    error = float(np.mean(difference**2))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)


def ssim(reference: Picture, candidate: Picture, *, border: int = 0, data_range: float = 255.0) -> float:
    """Structural similarity, at most 1, averaged over channels.

    Gaussian window of 11x11 and sigma 1.5, only where it fits whole, as in the
    MATLAB code of Wang et al., "Image quality assessment", IEEE TIP 2004.

    Args:
        reference: (H, W, C) or (H, W).
        candidate: same shape.
        border: pixels left out on each side.
        data_range: value of white.

    Raises:
        ShapeError: the shapes differ, or less than a window is left inside the border.
    """
    a = crop(reference, border, like=candidate).astype(np.float64)
    b = crop(candidate, border).astype(np.float64)
    if min(a.shape[:2]) < SSIM_WINDOW:
        raise ShapeError(f"SSIM needs {SSIM_WINDOW} pixels a side inside the border, got {a.shape[0]}x{a.shape[1]}")
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a**2
    variance_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    score = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    score /= (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return float(score.mean())


def crop(picture: Picture, border: int, *, like: Picture | None = None) -> Picture:
    """The picture without `border` pixels on each side.

    Raises:
        ShapeError: nothing is left, or the shape is not that of `like`.
    """
    if like is not None and picture.shape != like.shape:
        raise ShapeError(f"expected two pictures of one shape, got {picture.shape} and {like.shape}")
    height, width = picture.shape[:2]
    if min(height, width) <= 2 * border:
        raise ShapeError(f"a border of {border} leaves nothing of {height}x{width} pixels")
    return picture[border : height - border, border : width - border]


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian window over the first two axes, valid positions only."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        x = np.lib.stride_tricks.sliding_window_view(x, SSIM_WINDOW, axis=axis) @ window
    return x
