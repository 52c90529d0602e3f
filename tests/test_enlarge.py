"""Whole pictures through engines: every kind stays what it is, and what is asked for besides is what comes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.errors import ConfigError, EngineError, UsageError
from efdn.pictures.picture import Color, Header, Layout, Metadata, Picture
from engines.pictures.channels import side_by_side
from engines.pictures.enlarge import enlarge
from engines.pictures.options import AlphaBy, EnlargeOptions
from engines.pictures.target import enlarged_layout
from tests.enlarge_samples import SMALL_TILES, collected, run
from tests.inference_samples import Array, FakeEngine, picture_of, random_pixels, repeated, whole

KINDS = [(color, alpha) for color in Color for alpha in (False, True)]


def one_bit(height: int = 20, width: int = 31) -> Picture:
    """A 1-bit picture as it is read."""
    layout = Layout(width=width, height=height, color=Color.GRAY, bits=1)
    return Picture(
        pixels=random_pixels(height, width, 1) // 128 * 255,
        color=Color.GRAY,
        header=Header(format="PNG", kind="1-bit gray", layout=layout, bits=1),
    )


@pytest.mark.parametrize(("color", "alpha"), KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (20, 31), (70, 90)])
def test_every_kind_stays_what_it_is(color: Color, alpha: bool, dtype: str, height: int, width: int) -> None:
    picture = picture_of(color, alpha=alpha, dtype=dtype, height=height, width=width)
    made = enlarge(FakeEngine(4), picture, EnlargeOptions(tiling=SMALL_TILES))
    assert made.layout == replace(picture.layout, width=4 * width, height=4 * height)
    np.testing.assert_array_equal(collected(made), repeated(whole(picture), 4))
    assert made.metadata.dpi == (288.0, 144.0)


@pytest.mark.parametrize(("color", "alpha"), KINDS)
@pytest.mark.parametrize(("takes", "gives"), [("uint8", "uint8"), ("uint8", "float32"), ("float32", "uint8")])
def test_engines_of_bytes_take_every_kind_of_8_bits(color: Color, alpha: bool, takes: str, gives: str) -> None:
    picture = picture_of(color, alpha=alpha)
    result = run(FakeEngine(2, takes=takes, gives=gives), picture)
    np.testing.assert_array_equal(result, repeated(whole(picture)))


def test_engines_of_bytes_refuse_16_bits_unless_8_are_wanted() -> None:
    picture = picture_of(Color.RGB, alpha=True, dtype="uint16")
    engine = FakeEngine(2, takes="uint8", gives="uint8")
    with pytest.raises(EngineError, match=r"takes and gives 8 bits a sample.*--io float32, or give --bits 8"):
        enlarge(engine, picture)
    result = run(engine, picture, bits=8)
    np.testing.assert_array_equal(result, repeated(np.rint(whole(picture) / 257).astype(np.uint8)))
    with pytest.raises(EngineError, match="8 bits a sample"):
        enlarge(engine, picture_of(Color.RGB), EnlargeOptions(bits=16))
    assert engine.sides != []


def test_a_1_bit_picture_becomes_gray_and_1_bit_again_where_that_is_wanted() -> None:
    picture = one_bit()
    gray = enlarge(FakeEngine(), picture)
    assert (gray.layout.bits, gray.layout.color) == (8, Color.GRAY)
    np.testing.assert_array_equal(collected(gray), repeated(picture.pixels))
    again = enlarge(FakeEngine(), picture, EnlargeOptions(bits=1))
    assert again.layout.bits == 1
    np.testing.assert_array_equal(collected(again), repeated(picture.pixels))
    deep = enlarge(FakeEngine(), picture, EnlargeOptions(bits=16))
    np.testing.assert_array_equal(collected(deep), repeated(picture.pixels).astype(np.uint16) * 257)
    colored = enlarge(FakeEngine(), picture, EnlargeOptions(rgb=True))
    assert (colored.layout.bits, colored.layout.color) == (8, Color.RGB)
    np.testing.assert_array_equal(collected(colored), repeated(picture.pixels.repeat(3, axis=2)))


def test_1_bit_of_gray_is_black_from_half_down() -> None:
    picture = picture_of(Color.GRAY)
    np.testing.assert_array_equal(run(FakeEngine(), picture, bits=1), repeated((picture.pixels >= 128) * np.uint8(255)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("by", list(AlphaBy))
def test_depth_is_what_is_asked_for(dtype: str, bits: int, by: AlphaBy) -> None:
    picture = picture_of(Color.GRAY, alpha=True, dtype=dtype)
    made = enlarge(FakeEngine(1), picture, EnlargeOptions(bits=bits, alpha=by))
    assert made.layout.bits == bits
    ratio = (65535 if bits == 16 else 255) / (65535 if dtype == "uint16" else 255)
    np.testing.assert_array_equal(collected(made), np.rint(whole(picture) * ratio))


@pytest.mark.parametrize(("color", "alpha"), KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", ["45x", "200%", "17x9", "x100", "1x1"])
def test_results_are_resized(color: Color, alpha: bool, dtype: str, size: str) -> None:
    picture = picture_of(color, alpha=alpha, dtype=dtype)
    made = enlarge(FakeEngine(4), picture, EnlargeOptions(size=size))
    sizes = {"45x": (45, 29), "200%": (62, 40), "17x9": (17, 9), "x100": (155, 100), "1x1": (1, 1)}
    assert (made.layout.width, made.layout.height) == sizes[size]
    assert (made.layout.color, made.layout.alpha, made.layout.dtype) == (color, alpha, dtype)
    result = collected(made)
    if size == "200%":
        # Each pixel became four by four equal ones; half of that is close to the picture repeated twice.
        error = result.astype(float) - repeated(whole(picture))
        shown = error if not alpha else error[..., -1]
        assert np.abs(shown.mean()) / np.iinfo(dtype).max < 0.01
    assert made.metadata.dpi is not None
    assert made.metadata.dpi[0] == pytest.approx(72 * made.layout.width / 31)


def test_the_networks_own_size_is_not_resized() -> None:
    picture = picture_of(Color.RGB)
    np.testing.assert_array_equal(run(FakeEngine(4), picture, size="400%"), repeated(picture.pixels, 4))
    np.testing.assert_array_equal(run(FakeEngine(4), picture, size="124x80"), repeated(picture.pixels, 4))


@pytest.mark.parametrize("alpha", [False, True])
def test_gray_and_cmyk_become_rgb_where_that_is_wanted(alpha: bool) -> None:
    gray = picture_of(Color.GRAY, alpha=alpha)
    made = enlarge(FakeEngine(), gray, EnlargeOptions(rgb=True))
    assert made.layout.color is Color.RGB
    np.testing.assert_array_equal(collected(made)[..., :3], repeated(gray.pixels.repeat(3, axis=2)))
    cmyk = enlarge(FakeEngine(), picture_of(Color.CMYK, alpha=alpha), EnlargeOptions(rgb=True))
    assert (cmyk.layout.color, cmyk.layout.alpha) == (Color.RGB, alpha)
    assert any("no colour profile" in warning for warning in cmyk.warnings)
    assert collected(cmyk).shape == (40, 62, 3 + alpha)


def test_ink_and_black_go_through_the_network_as_light() -> None:
    engine = FakeEngine(1)
    seen: list[Array] = []

    def note(y: Array) -> Array:
        seen.append(y)
        return y

    engine.corrupt = note
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[..., 1], pixels[..., 3] = 55, 200
    run(engine, Picture(pixels=pixels, color=Color.CMYK))
    assert [tuple(y[0, :, 0, 0]) for y in seen] == [(255, 200, 255), (55, 55, 55)]


def test_warnings_of_reading_are_passed_on() -> None:
    picture = replace(picture_of(Color.RGB), warnings=("only the first page was taken",))
    assert enlarge(FakeEngine(), picture).warnings == ("only the first page was taken",)


def test_what_it_carries_is_kept_and_the_profile_of_gray_left_out_of_rgb() -> None:
    profile = b"\0" * 16 + b"GRAY" + b"\0" * 108
    picture = replace(picture_of(Color.GRAY), metadata=Metadata(icc_profile=profile, comment=b"hello"))
    kept = enlarge(FakeEngine(), picture)
    assert (kept.metadata.icc_profile, kept.metadata.comment) == (profile, b"hello")
    converted = enlarge(FakeEngine(), picture, EnlargeOptions(rgb=True))
    assert converted.metadata.icc_profile is None
    assert any("profile is of gray" in warning for warning in converted.warnings)


@pytest.mark.parametrize(
    ("layout", "options", "said"),
    [
        ((Color.RGB, False), {"bits": 1}, "--bits 1 is for gray pictures without alpha.*--bits 8"),
        ((Color.GRAY, True), {"bits": 1}, "--bits 1 is for gray pictures without alpha"),
        ((Color.GRAY, False), {"bits": 1, "rgb": True}, "--bits 1 is for gray"),
        ((Color.CMYK, True), {"background": (0, 0, 0)}, "the picture is CMYK: give --color rgb as well"),
        ((Color.RGB, False), {"size": "big"}, "expected a size such as 1920x1080"),
    ],
)
def test_options_that_contradict_the_picture_are_refused(
    layout: tuple[Color, bool], options: dict[str, Any], said: str
) -> None:
    color, alpha = layout
    engine = FakeEngine()
    with pytest.raises(UsageError, match=said):
        enlarge(engine, picture_of(color, alpha=alpha), EnlargeOptions(**options))
    assert engine.sides == []


def test_options_that_do_go_together() -> None:
    assert enlarged_layout(
        Layout(width=3, height=2, color=Color.GRAY, alpha=True),
        4,
        EnlargeOptions(bits=1, background=(255, 255, 255)),
    ) == Layout(width=12, height=8, color=Color.GRAY, bits=1)
    assert enlarged_layout(
        Layout(width=3, height=2, color=Color.CMYK, alpha=True), 2, EnlargeOptions(rgb=True, background=(1, 2, 3))
    ) == Layout(width=6, height=4, color=Color.RGB)


@pytest.mark.parametrize(
    "options", [{"bits": 12}, {"bits": 0}, {"background": (0, 0, 256)}, {"background": (-1, 0, 0)}]
)
def test_values_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        EnlargeOptions(**options)


def test_nothing_is_computed_before_rows_are_asked_for() -> None:
    engine = FakeEngine()
    made = enlarge(engine, picture_of(Color.CMYK, alpha=True), EnlargeOptions(size="50%"))
    assert engine.sides == []
    next(made.rows)
    assert engine.sides != []


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=3), st.integers(0, 9))
@settings(max_examples=100)
def test_streams_of_different_blocks_are_joined_row_by_row(heights: list[list[int]], seed: int) -> None:
    total = max(map(sum, heights))
    for stream in heights:
        stream[-1] += total - sum(stream)
    pictures = [random_pixels(total, 3, 1, seed=seed + index) for index in range(len(heights))]

    def blocks(picture: Array, sizes: list[int]) -> Iterator[Array]:
        top = 0
        for size in sizes:
            yield picture[top : top + size]
            top += size

    joined = list(side_by_side([blocks(*pair) for pair in zip(pictures, heights, strict=True)]))
    assert all(len(block) for block in joined)
    np.testing.assert_array_equal(np.concatenate(joined), np.dstack(pictures))
