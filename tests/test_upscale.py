"""From picture to picture through an engine, on a fake one."""

import numpy as np
import pytest

from efdn.errors import ConfigError, EngineError, ShapeError
from engines.whole import mirror_outwards, pad_to_minimum, to_pixels, upscale
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


@pytest.mark.parametrize("pad", [1, 4, 50])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (13, 13), (20, 14)])
def test_padding_leaves_the_size_and_what_does_not_depend_on_neighbours(height: int, width: int, pad: int) -> None:
    pixels = noise(height, width)
    expected = pixels.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(upscale(NearestNeighbour(), pixels, pad=pad), expected)


def test_padding_keeps_what_happens_at_borders_outside() -> None:
    engine = NearestNeighbour()

    def spoil(y: np.ndarray) -> np.ndarray:
        y[..., :8, :], y[..., -8:, :], y[..., :, :8], y[..., :, -8:] = 0, 0, 0, 0
        return y

    engine.corrupt = spoil
    white = np.full((16, 20, 3), 255, np.uint8)
    assert upscale(engine, white).min() == 0
    assert upscale(engine, white, pad=1).min() == 0
    assert upscale(engine, white, pad=2).min() == 255


def test_padding_mirrors_back_and_forth() -> None:
    pixels = noise(2, 3)
    padded = mirror_outwards(pixels, 5)
    assert padded.shape == (12, 13, 3)
    np.testing.assert_array_equal(padded[5:7, 5:8], pixels)
    np.testing.assert_array_equal(padded[3:5, 5:8], pixels[::-1])
    np.testing.assert_array_equal(padded[1:3, 5:8], pixels)
    np.testing.assert_array_equal(padded[5:7, 8:11], pixels[:, ::-1])
    assert mirror_outwards(pixels, 0) is pixels


def test_padding_is_told_where_it_is_too_much() -> None:
    with pytest.raises(ShapeError, match=r"14x13 with 1 pixels of padding on each side.*export"):
        upscale(NearestNeighbour(largest=13), noise(12, 11), pad=1)
    with pytest.raises(ConfigError, match="at least 0 pixels, got -1"):
        upscale(NearestNeighbour(), noise(13, 13), pad=-1)
