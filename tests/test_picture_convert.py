"""Conversions of pictures, against their definitions."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from efdn.errors import ConfigError
from efdn.pictures.convert import bleed, on_background, to_bits, to_rgb
from efdn.pictures.picture import Color, Header, Layout, Metadata, Picture, Pixels
from tests.picture_writing_samples import cmyk_profile, pixels_of, rgb_profile

EVERY_8 = np.arange(256, dtype=np.uint8)
EVERY_16 = np.arange(65536, dtype=np.uint16)


def picture_of(color: Color, bits: int = 8, profile: bytes | None = None) -> Picture:
    pixels = pixels_of(Layout(width=31, height=17, color=color, bits=bits))
    return Picture(pixels=pixels, color=color, metadata=Metadata(icc_profile=profile, xmp=b"kept"), warnings=("first",))


# CMYK and gray to RGB


def test_cmyk_goes_through_its_profile_as_pillow_does_it() -> None:
    picture = picture_of(Color.CMYK, profile=cmyk_profile())
    converted = to_rgb(picture)
    expected = ImageCms.profileToProfile(
        Image.frombuffer("CMYK", (31, 17), picture.pixels, "raw", "CMYK", 0, 1),
        ImageCms.ImageCmsProfile(io.BytesIO(cmyk_profile())),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert expected is not None
    # Two versions of LittleCMS: a level of rounding.
    assert np.abs(converted.pixels.astype(int) - np.asarray(expected)).max() <= 1
    assert converted.color is Color.RGB
    assert converted.warnings == ("first",)
    assert converted.metadata.xmp == b"kept"


def test_the_profile_becomes_srgb_and_is_the_same_every_time() -> None:
    first, second = (to_rgb(picture_of(Color.CMYK, profile=cmyk_profile())).metadata.icc_profile for _ in range(2))
    assert first is not None
    assert first == second
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(first)))
    # The date is neither now nor broken.
    assert first[24:30] == b"\x07\xd0\x00\x01\x00\x01"


def test_16_bits_of_cmyk_stay_16_bits() -> None:
    deep = picture_of(Color.CMYK, bits=16, profile=cmyk_profile())
    shallow = Picture(pixels=to_bits(deep.pixels, 8), color=Color.CMYK, metadata=deep.metadata)
    converted = to_rgb(deep).pixels
    assert converted.dtype == np.uint16
    assert len(np.unique(converted)) > 700
    # Half a level of 8-bit ink is up to a level and a half of a colour here.
    assert np.abs(converted / 257 - to_rgb(shallow).pixels).max() <= 2


@pytest.mark.parametrize("profile", [None, b"broken", rgb_profile()])
def test_cmyk_without_a_profile_is_what_ink_leaves_and_says_so(profile: bytes | None) -> None:
    ink = np.zeros((1, 5, 4), np.uint8)
    ink[0, 1, 0], ink[0, 2, 3], ink[0, 3], ink[0, 4] = 255, 255, (51, 0, 0, 51), 255
    converted = to_rgb(Picture(pixels=ink, color=Color.CMYK, metadata=Metadata(icc_profile=profile)))
    # 204 * 204 / 255 is 163.2, 255 * 204 / 255 is 204.
    assert converted.pixels.tolist() == [[[255] * 3, [0, 255, 255], [0] * 3, [163, 204, 204], [0] * 3]]
    assert len(converted.warnings) == 1
    assert "profile" in converted.warnings[0]
    assert "colours may be off" in converted.warnings[0]
    assert converted.metadata.icc_profile is None


def test_naive_conversion_of_16_bits_is_exact() -> None:
    picture = picture_of(Color.CMYK, bits=16)
    left = 65535 - picture.pixels.astype(np.int64)
    expected = np.rint(left[..., :3] * left[..., 3:] / 65535)
    np.testing.assert_array_equal(to_rgb(picture).pixels, expected)


def test_gray_becomes_three_equal_channels() -> None:
    header = Header(format="PNG", kind="1-bit", layout=Layout(width=31, height=17, color=Color.GRAY, bits=1), bits=1)
    gray = picture_of(Color.GRAY, profile=b"\0" * 16 + b"GRAY")
    converted = to_rgb(Picture(pixels=gray.pixels, color=Color.GRAY, header=header, metadata=gray.metadata))
    np.testing.assert_array_equal(converted.pixels, np.repeat(gray.pixels, 3, axis=2))
    assert converted.layout == Layout(width=31, height=17, color=Color.RGB)
    assert converted.metadata.icc_profile is None
    assert "profile is of gray" in converted.warnings[0]
    assert to_rgb(picture_of(Color.GRAY, profile=rgb_profile())).metadata.icc_profile == rgb_profile()


def test_rgb_is_left_alone() -> None:
    picture = picture_of(Color.RGB, profile=rgb_profile())
    assert to_rgb(picture) is picture


# Depth


def test_every_16_bit_value_is_rounded_to_the_nearest_of_8() -> None:
    np.testing.assert_array_equal(to_bits(EVERY_16, 8), np.rint(EVERY_16 / 257))


def test_8_bits_come_back_from_16() -> None:
    deep = to_bits(EVERY_8, 16)
    assert (deep[0], deep[-1], str(deep.dtype)) == (0, 65535, "uint16")
    np.testing.assert_array_equal(to_bits(deep, 8), EVERY_8)


def test_one_bit_is_black_below_half() -> None:
    np.testing.assert_array_equal(to_bits(EVERY_8, 1), np.where(EVERY_8 >= 128, 255, 0))
    np.testing.assert_array_equal(to_bits(EVERY_16, 1), np.where(EVERY_16 >= 32768, 255, 0))


def test_equal_depth_and_unknown_depth() -> None:
    assert to_bits(EVERY_8, 8) is EVERY_8
    assert to_bits(EVERY_16, 16) is EVERY_16
    with pytest.raises(ConfigError, match="1, 8 or 16 bits"):
        to_bits(EVERY_8, 10)


# Backgrounds


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 255), ("uint16", 65535)])
def test_backgrounds_are_mixed_with_exact_rounding(dtype: str, most: int) -> None:
    random = np.random.default_rng(0)
    rows: Pixels = random.integers(0, most + 1, (64, 64, 3)).astype(dtype)
    alpha: Pixels = random.integers(0, most + 1, (64, 64)).astype(dtype)
    rows[0], alpha[0] = most, most
    mixed = on_background(rows, alpha, (255, 128, 0))
    behind = np.array((255, 128, 0), np.int64) * (most // 255)
    weight = alpha.astype(np.int64)[..., None]
    above = rows * weight + behind * (most - weight)
    # Twice the distance to the exact fraction is at most one: rounded to nearest.
    assert (np.abs(mixed.astype(np.int64) * most - above) * 2 <= most).all()
    assert mixed.dtype == dtype


def test_opaque_and_transparent_pixels_on_a_background() -> None:
    rows = np.full((1, 2, 3), 77, np.uint8)
    mixed = on_background(rows, np.array([[255, 0]], np.uint8), (1, 2, 3))
    assert mixed.tolist() == [[[77, 77, 77], [1, 2, 3]]]
    assert on_background(rows[..., :1], np.array([[255, 0]], np.uint8), (9,)).tolist() == [[[77], [9]]]


@pytest.mark.parametrize("colour", [(1, 2), (1, 2, 256), (1, 2, -1)])
def test_a_background_that_is_no_colour_is_refused(colour: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="background of 3 numbers of 0 to 255"):
        on_background(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), colour)


# Colours under transparency


@given(st.integers(1, 23), st.integers(1, 23), st.sampled_from(["uint8", "uint16"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_visible_pixels_stay_and_hidden_ones_are_between_them(height: int, width: int, dtype: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, np.iinfo(dtype).max, (height, width, 3)).astype(dtype)
    alpha = random.integers(0, np.iinfo(dtype).max, (height, width)).astype(dtype)
    alpha[random.random((height, width)) < 0.6] = 0
    filled = bleed(pixels, alpha)
    visible = alpha > 0
    np.testing.assert_array_equal(filled[visible], pixels[visible])
    assert filled.dtype == pixels.dtype
    if visible.any() and not visible.all():
        low, high = pixels[visible].min(axis=0), pixels[visible].max(axis=0)
        assert ((filled >= low) & (filled <= high)).all()
    else:
        assert filled is pixels


@pytest.mark.parametrize("colour", [(200, 30, 90), (65535, 257, 40000)])
def test_a_sprite_of_one_colour_becomes_all_that_colour(colour: tuple[int, ...]) -> None:
    dtype = np.uint16 if max(colour) > 255 else np.uint8
    pixels, alpha = np.zeros((50, 70, 3), dtype), np.zeros((50, 70), dtype)
    pixels[20:31, 33:40], alpha[20:31, 33:40] = colour, 200
    alpha[25, 35] = 3
    np.testing.assert_array_equal(bleed(pixels, alpha), np.broadcast_to(np.array(colour, dtype), (50, 70, 3)))


def test_hidden_pixels_take_the_colour_of_what_is_near() -> None:
    pixels, alpha = np.zeros((32, 64, 3), np.uint8), np.zeros((32, 64), np.uint8)
    pixels[:, :8], alpha[:, :8] = (255, 0, 0), 255
    pixels[:, -8:], alpha[:, -8:] = (0, 0, 255), 255
    filled = bleed(pixels, alpha)
    assert (filled[:, 8:16] == (255, 0, 0)).all()
    assert (filled[:, -16:-8] == (0, 0, 255)).all()


def bled_at_once(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The same pyramid without regard for memory."""

    def halved(values: Pixels) -> Pixels:
        height, width = values.shape[:2]
        even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
        quarter: Pixels = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
        return quarter

    def filled(colors: Pixels, weight: Pixels) -> Pixels:
        empty = weight[..., 0] == 0
        means: Pixels = colors / np.where(weight == 0, np.float32(1), weight)
        if empty.any():
            coarse = filled(halved(colors), halved(weight))
            rows, columns = np.nonzero(empty)
            means[rows, columns] = coarse[rows // 2, columns // 2]
        return means

    weight = alpha[..., None].astype(np.float32)
    means = filled(pixels * weight, weight)
    if pixels.dtype.kind != "f":
        means = np.rint(means)
    return np.where(alpha[..., None] == 0, means.astype(pixels.dtype), pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bands_do_not_show_where_colours_are_replaced(
    monkeypatch: pytest.MonkeyPatch, dtype: str, channels: int
) -> None:
    monkeypatch.setattr("efdn.pictures.convert.BLEED_SAMPLES", 700)
    random = np.random.default_rng(3)
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    pixels = (random.random((101, 67, channels)) * top).astype(dtype)
    alpha = (random.random((101, 67)) * top).astype(dtype)
    alpha[random.random((101, 67)) < 0.4] = 0
    alpha[20:90, 10:60] = 0
    np.testing.assert_array_equal(bleed(pixels, alpha), bled_at_once(pixels, alpha))


def test_replacing_hidden_colours_takes_little_more_than_the_result() -> None:
    height, width = 1500, 2000
    pixels, alpha = np.full((height, width, 3), 9, np.uint8), np.zeros((height, width), np.uint8)
    alpha[::5, ::3] = 255
    tracemalloc.start()
    try:
        bleed(pixels, alpha)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The result has 3 bytes a pixel, the pyramid without its finest level 4 * 4 / 3; then there are bands.
    assert peak < 9 * height * width + 12 * 2**20
