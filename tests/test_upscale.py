"""From picture to picture through an engine, on a fake one."""

import numpy as np
import pytest

from efdn.errors import EngineError, ShapeError
from engines.upscale import pad_to_minimum, to_pixels, upscale
from tests.conftest import noise
from tests.fake_engine import NearestNeighbour


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (12, 13), (13, 12), (13, 13), (14, 30)])
def test_any_size_is_upscaled(height: int, width: int) -> None:
    pixels = noise(height, width)
    result = upscale(NearestNeighbour(), pixels)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, pixels.repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_data_range_of_the_model_is_respected(data_range: float) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(upscale(NearestNeighbour(1, data_range), pixels), pixels)


def test_small_pictures_are_mirrored() -> None:
    padded = pad_to_minimum(noise(5, 20))
    assert padded.shape == (13, 20, 3)
    np.testing.assert_array_equal(padded[5:10], padded[:5][::-1])
    large = noise(13, 13)
    assert pad_to_minimum(large) is large


def test_rounding_is_to_nearest_and_clipped() -> None:
    values = np.array([-300.0, -0.4, 0.49, 0.51, 254.6, 255.4, 900.0, 128.0, 3.2], np.float32)
    y = values.reshape(1, 1, 3, 3).repeat(3, axis=1)
    assert to_pixels(y, 255)[..., 0].ravel().tolist() == [0, 0, 0, 1, 255, 255, 255, 128, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_output_that_is_not_finite_is_an_error_not_a_black_picture(bad: float) -> None:
    engine = NearestNeighbour()
    engine.corrupt = lambda y: np.where(y == y.max(), np.float32(bad), y)
    with pytest.raises(EngineError, match="not finite"):
        upscale(engine, noise(13, 13))


def test_a_shape_outside_the_profile_says_both_sides() -> None:
    with pytest.raises(ShapeError, match=r"13\.\.16x13\.\.16.*17x13"):
        upscale(NearestNeighbour(largest=16), noise(17, 13))
