"""Pictures with opacity through engines: hidden colours stay hidden, and backgrounds show through."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from efdn.pictures.convert import bleed
from efdn.pictures.picture import Color, Picture
from engines.pictures.channels import alpha_rows
from engines.pictures.enlarge import enlarge
from engines.pictures.options import AlphaBy, EnlargeOptions
from engines.tiling.options import TileOptions
from tests.enlarge_samples import SMALL_TILES, collected, run
from tests.fake_engine import NearestNeighbour
from tests.inference_samples import FakeEngine, picture_of, repeated, whole


@pytest.mark.parametrize("color", list(Color))
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_hidden_colours_do_not_leak(color: Color, dtype: str) -> None:
    top = np.iinfo(dtype).max
    pixels = np.full((40, 40, color.channels), top // 4, dtype)
    alpha = np.full((40, 40), top, dtype)
    # Half of it is transparent, with a colour of its own that no neighbour may see.
    pixels[:, 20:], alpha[:, 20:] = top, 0
    picture = Picture(pixels=pixels, color=color, alpha=alpha)
    result = run(FakeEngine(2, blurs=True), picture)
    assert (result[..., :-1] == top // 4).all()
    assert (result[:, :38, -1] == top).all()
    assert (result[:, 42:, -1] == 0).all()
    # What was given is as it was.
    assert (pixels[:, 20:] == top).all()


def test_what_is_all_transparent_keeps_its_colours() -> None:
    picture = replace(picture_of(Color.RGB), alpha=np.zeros((20, 31), np.uint8))
    np.testing.assert_array_equal(run(FakeEngine(), picture), repeated(whole(picture)))


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("by", list(AlphaBy))
def test_opacity_that_is_the_same_everywhere_costs_nothing(value: int, by: AlphaBy) -> None:
    opaque = picture_of(Color.RGB, height=100, width=100)
    plain, with_alpha = FakeEngine(), FakeEngine()
    run(plain, opaque, tiling=SMALL_TILES)
    result = run(with_alpha, replace(opaque, alpha=np.full((100, 100), value, np.uint8)), tiling=SMALL_TILES, alpha=by)
    assert with_alpha.sides == plain.sides
    assert (result[..., -1] == value).all()


def test_bicubic_opacity_runs_no_network() -> None:
    picture = picture_of(Color.RGB, alpha=True, height=100, width=100)
    plain, with_alpha = FakeEngine(), FakeEngine()
    run(plain, replace(picture, alpha=None), tiling=SMALL_TILES)
    run(with_alpha, picture, tiling=SMALL_TILES, alpha=AlphaBy.BICUBIC)
    assert with_alpha.sides == plain.sides


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 50), (64, 20), (65, 20), (200, 41)])
def test_bicubic_opacity_is_pillows_of_the_whole(height: int, width: int) -> None:
    picture = picture_of(Color.GRAY, alpha=True, height=height, width=width)
    assert picture.alpha is not None
    result = run(FakeEngine(4), picture, alpha=AlphaBy.BICUBIC, tiling=SMALL_TILES)[..., -1]
    # In single precision, or Pillow clips what overshoots between its two passes.
    image = Image.fromarray(picture.alpha.astype(np.float32))
    expected = np.asarray(image.resize((4 * width, 4 * height), Image.Resampling.BICUBIC))
    assert np.abs(result - np.clip(expected, 0, 255)).max() <= 0.51


def test_bicubic_opacity_of_16_bits_has_no_seams() -> None:
    alpha = np.tile(np.linspace(0, 65535, 200, dtype=np.uint16)[:, None], (1, 20))
    picture = Picture(pixels=np.zeros((200, 20, 1), np.uint16), color=Color.GRAY, alpha=alpha)
    result = run(FakeEngine(4), picture, alpha=AlphaBy.BICUBIC)[..., -1].astype(int)
    # A slope of 82.3 levels a row; within two rows of the ends the filter has less to go by.
    steps = np.diff(result[12:-12], axis=0)
    assert steps.min() >= 78
    assert steps.max() <= 88


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_transparent_pictures_lie_on_a_background(dtype: str) -> None:
    top = np.iinfo(dtype).max
    step = top // 255
    picture = picture_of(Color.RGB, dtype=dtype)
    alpha = np.zeros((20, 31), dtype)
    alpha[:, 10:20], alpha[:, 20:] = top, top // 5
    made = enlarge(FakeEngine(), replace(picture, alpha=alpha), EnlargeOptions(background=(255, 128, 0)))
    assert not made.layout.alpha
    result = collected(made)
    colour = np.array([255, 128, 0]) * step
    assert (result[:, :18] == colour).all()
    np.testing.assert_array_equal(result[:, 20:40], repeated(picture.pixels)[:, 20:40])
    mixed = picture.pixels[:, 20:] * 0.2 + colour * 0.8
    assert np.abs(result[:, 40:] - repeated(mixed)).max() <= 0.51


def test_gray_stays_gray_on_gray_and_becomes_rgb_on_a_colour() -> None:
    picture = picture_of(Color.GRAY, alpha=True)
    gray = enlarge(FakeEngine(), picture, EnlargeOptions(background=(90, 90, 90)))
    assert (gray.layout.color, gray.layout.alpha) == (Color.GRAY, False)
    colored = enlarge(FakeEngine(), picture, EnlargeOptions(background=(90, 91, 90)))
    assert (colored.layout.color, colored.layout.alpha) == (Color.RGB, False)
    a, b = collected(gray), collected(colored)
    assert np.abs(a.astype(int) - b).max() <= 1


def test_a_background_changes_nothing_where_all_is_opaque_by_kind() -> None:
    picture = picture_of(Color.GRAY)
    made = enlarge(FakeEngine(), picture, EnlargeOptions(background=(255, 0, 0)))
    assert made.layout.color is Color.GRAY
    np.testing.assert_array_equal(collected(made), repeated(picture.pixels))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colours_bled_into_nothing_are_those_of_neighbours(dtype: str) -> None:
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    pixels = np.full((9, 9, 3), top, dtype)
    alpha = np.zeros((9, 9), dtype)
    pixels[4, 4], alpha[4, 4] = top * 3 // 10 if dtype != "float32" else 0.3, top
    np.testing.assert_allclose(bleed(pixels, alpha), np.full((9, 9, 3), pixels[4, 4, 0]), rtol=1e-6)


def test_opacity_stays_between_that_of_its_neighbours() -> None:
    """Where the network overshoots at an edge, half-transparent areas must not get a rim."""
    engine = NearestNeighbour()
    engine.corrupt = lambda y: y + np.where(np.indices(y.shape)[3] % 2, np.float32(40), np.float32(-40))
    alpha = np.full((20, 30), 128, np.uint8)
    alpha[:, :10] = 0
    rows = np.concatenate(list(alpha_rows(engine, alpha, AlphaBy.EFDN, TileOptions(pad=0), "uint8")))
    assert (rows[:, 4 * 11 :] == 128).all()
    assert (rows[:, : 4 * 9] == 0).all()
    assert rows[:, 4 * 9 : 4 * 11].max() == 128
