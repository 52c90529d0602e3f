"""Bicubic enlargement as an engine."""

import numpy as np
import pytest

from efdn.bicubic import upscale as benchmarks_upscale
from engines import upscale
from engines.bicubic import BicubicEngine
from tests.conftest import noise


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_results_are_those_of_the_benchmarks_on_a_smooth_picture(scale: int) -> None:
    rows, columns = np.mgrid[:33, :41]
    smooth = np.stack([4 * rows, 3 * columns, 2 * rows + columns], axis=2).astype(np.uint8)
    # They round after each direction, this once.
    difference = np.abs(upscale(smooth, BicubicEngine(scale)).astype(int) - benchmarks_upscale(smooth, scale))
    inside = difference[8 * scale : -8 * scale, 8 * scale : -8 * scale]
    assert inside.max() <= 1


def test_tiles_change_nothing() -> None:
    pixels = noise(70, 90, 3)
    with BicubicEngine(4) as engine:
        np.testing.assert_array_equal(upscale(pixels, engine, tile=48, overlap=8), upscale(pixels, engine, tile=0))


def test_a_single_pixel_stays_what_it_is() -> None:
    pixel = np.array([[[10, 20, 30]]], dtype=np.uint8)
    np.testing.assert_array_equal(upscale(pixel, BicubicEngine(4)), np.broadcast_to(pixel, (4, 4, 3)))
