"""Bicubic scaling against MATLAB's `imresize` by its definition, and against the field's own LR files."""

import os
from pathlib import Path

import numpy as np
import pytest

from efdn.bicubic import downscale, modcrop, upscale
from efdn.errors import ShapeError
from engines.evaluation.pairs import find_all_sets
from engines.evaluation.pictures import read_rgb
from tests.conftest import noise

BENCH = Path(os.environ.get("EFDN_BENCH", ""))
needs_bench = pytest.mark.skipif(
    "EFDN_BENCH" not in os.environ, reason="EFDN_BENCH names no folder of benchmark sets (Set5, Set14, BSD100)"
)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys's kernel with a = -0.5."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def by_definition(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Rows, then columns, with the kernel stretched where it shrinks, edges repeated, 8 bits after each."""
    x = pixels.astype(float)
    stretch = min(factor, 1.0)
    for axis in (0, 1):
        size = x.shape[axis]
        centres = (np.arange(round(size * factor)) + 0.5) / factor - 0.5
        places = (np.floor(centres - 2 / stretch)[:, None] + np.arange(int(4 / stretch) + 2)).astype(int)
        weights = cubic((centres[:, None] - places) * stretch)
        weights /= weights.sum(axis=1, keepdims=True)
        taken = np.moveaxis(x, axis, 0)[places.clip(0, size - 1)]
        x = np.moveaxis(np.clip(np.floor((taken * weights[..., None, None]).sum(axis=1) + 0.5), 0, 255), 0, axis)
    return x


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_downscaling_is_its_definition(scale: int) -> None:
    hr = noise(11 * scale, 13 * scale)
    np.testing.assert_allclose(downscale(hr, scale), by_definition(hr, 1 / scale), atol=1)
    # Halves may be rounded either way: Pillow's weights have 22 bits.
    assert (downscale(hr, scale) != by_definition(hr, 1 / scale)).mean() < 0.01


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upscaling_is_its_definition(scale: int) -> None:
    lr = noise(11, 13)
    np.testing.assert_allclose(upscale(lr, scale), by_definition(lr, scale), atol=1)
    assert (upscale(lr, scale) != by_definition(lr, scale)).mean() < 0.01


def test_antialiasing_averages_what_a_plain_kernel_would_alias() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    inside = downscale(stripes, 4)[2:-2, 2:-2]
    assert np.abs(inside.astype(int) - 127).max() <= 2


def test_one_colour_stays() -> None:
    flat = np.full((12, 16, 3), (10, 10, 200), np.uint8)
    assert (downscale(flat, 4) == (10, 10, 200)).all()
    assert (upscale(flat, 3) == (10, 10, 200)).all()


def test_shapes() -> None:
    hr = noise(21, 30)
    assert modcrop(hr, 4).shape == (20, 28, 3)
    np.testing.assert_array_equal(modcrop(hr, 4), hr[:20, :28])
    assert downscale(modcrop(hr, 4), 4).shape == (5, 7, 3)
    assert upscale(hr, 2).shape == (42, 60, 3)
    assert downscale(hr, 1).dtype == np.uint8
    with pytest.raises(ShapeError, match=r"21x30 \(height x width\) 4 times.*modcrop"):
        downscale(hr, 4)
    with pytest.raises(ShapeError, match=r"3x30.*at least 4"):
        modcrop(hr[:3], 4)


@needs_bench
def test_lr_files_of_the_benchmarks_are_made_bit_for_bit() -> None:
    for entry in find_all_sets([BENCH], 4):
        for pair in entry.pairs:
            if pair.lr is not None:
                made = downscale(modcrop(read_rgb(pair.hr), 4), 4)
                assert np.array_equal(made, read_rgb(pair.lr)), pair.hr
