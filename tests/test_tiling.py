"""Pictures through engines tile by tile: as if they went through whole."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from efdn.errors import EngineError, ShapeError
from engines.tiling.options import TileOptions
from engines.tiling.plan import untiled
from engines.tiling.samples import check_depth, run_tile, to_samples
from engines.tiling.upscaling import upscaled_rows
from tests.inference_samples import ANY_SHAPE, TOP, Array, FakeEngine, blurred_picture, fixed, random_pixels, repeated
from tests.tiling_samples import upscaled

PICTURES = st.builds(
    random_pixels,
    st.integers(1, 100),
    st.integers(1, 90),
    st.sampled_from([1, 3]),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.integers(0, 5),
)
TILINGS = st.builds(
    TileOptions,
    side=st.one_of(st.just(0), st.integers(13, 80)),
    overlap=st.sampled_from([0, 1, 2, 3, 5, 8, 16, 24]),
    pad=st.sampled_from([None, 0, 1, 8, 20]),
)


def assert_close(result: Array, expected: Array, dtype: str) -> None:
    """Equal; floats, which are blended in single precision, to seven digits."""
    assert result.dtype == dtype
    if dtype == "float32":
        np.testing.assert_allclose(result, expected, atol=3e-7)
    else:
        np.testing.assert_array_equal(result, expected)


@settings(max_examples=150)
@given(PICTURES, TILINGS, st.sampled_from(["float32", "uint8"]), st.sampled_from([1.0, 255.0]))
def test_repeated_pixels_are_repeated_whatever_the_tiles(
    pixels: Array, options: TileOptions, gives: str, data_range: float
) -> None:
    assume(gives == "float32" or (pixels.dtype == "uint8" and data_range == 255))
    engine = FakeEngine(2, gives=gives, data_range=data_range)
    assert_close(upscaled(engine, pixels, options), repeated(pixels), str(pixels.dtype))


@settings(max_examples=80)
@given(
    PICTURES,
    st.integers(13, 60),
    st.sampled_from([1, 2, 3, 8, 16]),
    st.sampled_from([1, 8]),
    st.booleans(),
)
def test_tiles_are_the_whole_where_the_engine_sees_no_farther_than_the_overlap(
    pixels: Array, side: int, overlap: int, pad: int, static: bool
) -> None:
    # Means of three by three: one pixel of context is enough, and one of padding mirrors what lies outside.
    engine = FakeEngine(2, (fixed(side, side),) if static else (ANY_SHAPE,), blurs=True)
    options = TileOptions(side=None if static else side, overlap=overlap, pad=pad)
    dtype = str(pixels.dtype)
    result = upscaled(engine, pixels, options)
    expected = repeated(blurred_picture(pixels))
    # Half way between two levels, single precision may go either way.
    tolerance = 1 if dtype != "float32" else 1e-6
    assert np.abs(result.astype(np.float64) - expected).max() <= tolerance


@pytest.mark.parametrize("overlap", [2, 16])
@pytest.mark.parametrize("pad", [1, 8])
def test_nothing_depends_on_where_tiles_meet(overlap: int, pad: int) -> None:
    pixels = random_pixels(83, 97, 3)
    engine = FakeEngine(2, blurs=True)
    results = [
        upscaled(engine, pixels, TileOptions(side=side, overlap=overlap, pad=pad), "float32") for side in (0, 48, 61)
    ]
    for result in results[1:]:
        # White is 1, in single precision.
        np.testing.assert_allclose(result, results[0], atol=3e-7)


def test_without_padding_the_corners_see_the_other_end() -> None:
    # An engine whose outermost pixels depend on those of the opposite edge of what it is given, as mixing in circles.
    engine = FakeEngine(1)
    shifts = ((1, 2), (-1, 2), (3, 3), (-3, 3))
    engine.corrupt = lambda y: (
        sum((np.roll(y, shift, axis) * (index + 1) for index, (shift, axis) in enumerate(shifts)), y) / 11
    )
    pixels = random_pixels(90, 100, 3)
    options = TileOptions(side=60, overlap=8, pad=0)
    whole = upscaled(engine, pixels, untiled(options), "float32")
    tiled = upscaled(engine, pixels, options, "float32")
    assert len(engine.sides) > 2
    np.testing.assert_allclose(tiled, whole, atol=3e-7)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_tiles_that_differ_are_blended_from_one_to_the_other(axis: int, dtype: str) -> None:
    engine = FakeEngine(2)
    engine.corrupt = lambda y: np.full_like(y, 20 * len(engine.sides))
    pixels = np.zeros((100, 20, 3) if axis == 0 else (20, 100, 3), dtype)
    result = upscaled(engine, pixels, TileOptions(side=80, overlap=16))
    assert len(engine.sides) == 2
    line = np.take(result, 0, axis=1 - axis)[:, 0].astype(float) * (255 if dtype == "float32" else 1)
    assert (line[:60], line[-60:]) == (pytest.approx(20, abs=1e-4), pytest.approx(40, abs=1e-4))
    ramp = line[(line > 20.001) & (line < 39.999)]
    # Over half of the overlap, in steps of equal size, to within rounding.
    assert len(ramp) == 16
    assert np.abs(np.diff(ramp) - 20 / 16).max() <= (1 if dtype == "uint8" else 1e-3)


@given(st.integers(20, 3000), st.sampled_from([1, 3]))
@settings(max_examples=20)
def test_rows_come_in_bands_however_tall_the_picture_is(height: int, channels: int) -> None:
    pixels = np.zeros((height, 40, channels), np.uint8)
    engine = FakeEngine(2)
    options = TileOptions(side=64, overlap=16)
    blocks = [len(block) for block in upscaled_rows(engine, pixels, options)]
    assert sum(blocks) == 2 * height
    assert max(blocks) <= 2 * 64


def test_asking_for_a_band_runs_its_tiles_and_no_more() -> None:
    engine = FakeEngine(2)
    rows = upscaled_rows(engine, random_pixels(200, 200, 3), TileOptions(side=64))
    assert engine.sides == []
    next(rows)
    across = len(engine.sides)
    assert 0 < across <= 8
    next(rows)
    assert len(engine.sides) == 2 * across


def test_depth_of_the_result_is_what_is_asked_for() -> None:
    pixels = random_pixels(20, 20, 3, "uint16")
    engine = FakeEngine(1)
    engine.corrupt = lambda y: y + np.float32(0.25)
    options = TileOptions(side=0, pad=0)
    eight, sixteen, floats = (upscaled(engine, pixels, options, dtype) for dtype in ("uint8", "uint16", "float32"))
    exact = pixels / 65535 * 255 + 0.25
    np.testing.assert_array_equal(eight, np.clip(np.rint(exact), 0, 255))
    # A quarter of an 8-bit level is 64.25 levels of 16 bits.
    assert np.abs(sixteen - np.clip(exact * 257, 0, 65535)).max() <= 0.51
    np.testing.assert_allclose(floats, exact / 255, atol=1e-6)
    assert upscaled(engine, np.full((20, 20, 1), 255, np.uint8), options, "float32").min() > 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_output_that_is_not_finite_is_an_error_not_a_black_picture(bad: float) -> None:
    engine = FakeEngine()
    engine.corrupt = lambda y: np.where(y == y.max(), np.float32(bad), y)
    with pytest.raises(EngineError, match="not finite"):
        list(upscaled_rows(engine, random_pixels(20, 20, 3)))


def test_bytes_of_one_colour_that_the_picture_does_not_have_are_an_error() -> None:
    engine = FakeEngine(2, gives="uint8")
    engine.corrupt = np.zeros_like
    with pytest.raises(EngineError, match=r"one flat colour that the picture does not have.*--fp32"):
        list(upscaled_rows(engine, np.full((20, 20, 3), 40, np.uint8)))


@pytest.mark.parametrize("value", [0, 20, 255])
def test_flat_tiles_of_flat_pictures_are_right(value: int) -> None:
    pixels = np.full((20, 20, 1), value, np.uint8)
    for takes, gives in (("uint8", "uint8"), ("float32", "uint8")):
        result = upscaled(FakeEngine(2, takes=takes, gives=gives), pixels, TileOptions())
        np.testing.assert_array_equal(result, np.full((40, 40, 1), value, np.uint8))


@pytest.mark.parametrize(("takes", "gives"), [("uint8", "uint8"), ("float32", "uint8"), ("uint8", "float32")])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_engines_of_bytes_refuse_what_they_would_lose(takes: str, gives: str, dtype: str) -> None:
    engine = FakeEngine(2, takes=takes, gives=gives)
    with pytest.raises(EngineError, match=r"8 bits a sample.*--io float32, or give --bits 8"):
        check_depth(engine, dtype)
    check_depth(engine, "uint8")
    check_depth(FakeEngine(), dtype)
    if takes == "uint8":
        with pytest.raises(EngineError, match="8 bits a sample"):
            run_tile(engine, random_pixels(20, 20, 3, dtype))


def test_samples_of_another_type_are_refused() -> None:
    with pytest.raises(ShapeError, match="uint8, uint16 or float32, got float64"):
        run_tile(FakeEngine(), np.zeros((20, 20, 3)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_samples_are_rounded_to_nearest_and_clipped(dtype: str) -> None:
    values = np.array([-300.0, -0.4, 0.2, 1, 127.5, 254.9, 255.0, 900.0], np.float32)
    step = TOP[dtype] / 255
    expected = [0, 0, *np.rint(np.array([0.2, 1, 127.5, 254.9]) * step), TOP[dtype], TOP[dtype]]
    np.testing.assert_array_equal(to_samples(values, dtype), expected)
    assert to_samples(values, dtype).dtype == dtype
    # What was given is as it was.
    assert values[0] == -300


def test_gray_is_the_mean_of_what_the_network_makes_of_three_equal_channels() -> None:
    engine = FakeEngine(1)
    engine.corrupt = lambda y: y + np.array([0, 0, 3], np.float32).reshape(1, 3, 1, 1)
    pixels = np.full((20, 20, 1), 100, np.uint8)
    assert (upscaled(engine, pixels, TileOptions()) == 101).all()


def test_a_closed_generator_runs_nothing_more() -> None:
    engine = FakeEngine()
    rows = upscaled_rows(engine, random_pixels(200, 200, 3), TileOptions(side=64))
    next(rows)
    ran = len(engine.sides)
    rows.close()  # type: ignore[attr-defined]
    assert len(engine.sides) == ran
