"""Reading pictures: every kind at its full depth and upright."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from efdn.pictures.header import read_header
from efdn.pictures.picture import Layout
from efdn.pictures.reading import read_picture
from tests import picture_parts as parts
from tests import picture_samples_png as png
from tests.picture_parts import HEIGHT, WIDTH
from tests.picture_samples import KINDS, SAMPLES

LIMIT = 10_000


LOSSY = {"jpeg-rgb", "jpeg-gray", "jpeg-cmyk", "jpeg-progressive", "jpeg-rotated", "jpeg-exif-xmp-icc-dpi", "mpo"}
"""Kinds that hold the gradient, and how far off it they may be: see the test."""


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_is_read_as_it_was_made(tmp_path: Path, kind: str) -> None:
    sample = SAMPLES[kind]
    picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
    assert picture.header is not None
    assert picture.layout == picture.header.layout
    assert (picture.color.value, picture.layout.bits, picture.header.frames) == (
        sample.color,
        sample.bits,
        sample.frames,
    )
    assert picture.pixels.shape == (HEIGHT, WIDTH, picture.color.channels)
    assert picture.pixels.dtype == ("uint16" if sample.bits == 16 else "uint8")
    assert (picture.alpha is not None) == sample.has_alpha
    if sample.pixels is not None:
        np.testing.assert_array_equal(picture.pixels, sample.pixels)
    if sample.alpha is not None:
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha, sample.alpha)


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_header_says_the_same_without_decoding(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path)
    assert read_header(path, max_pixels=LIMIT) == read_picture(path, max_pixels=LIMIT).header


@pytest.mark.parametrize("kind", sorted(LOSSY))
def test_jpegs_hold_nearly_the_gradient(tmp_path: Path, kind: str) -> None:
    picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
    # Halved colours and quality 95 on noise: twelve levels on average. Inverted CMYK, a wrong order of channels or a
    # wrong orientation are off by thirty or more.
    error = np.abs(picture.pixels.astype(int) - parts.gradient(picture.color.channels))
    assert error.mean() < 12


def test_cmyk_is_ink_as_pillow_has_it(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 8), (0, 0, 0, 0)).save(tmp_path / "white.jpg")
    picture = read_picture(tmp_path / "white.jpg", max_pixels=LIMIT)
    assert picture.pixels.max() <= 1
    for kind in ("jpeg-cmyk", "tiff-cmyk8"):
        path = KINDS[kind](tmp_path)
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_picture(path, max_pixels=LIMIT).pixels, np.asarray(image))


def test_dark_deep_pictures_stay_deep(tmp_path: Path) -> None:
    for kind in ("png-rgb16-dark", "tiff-rgb16-dark"):
        picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
        assert picture.pixels.dtype == np.uint16
        assert picture.pixels.max() < 256


def test_bits_of_the_file_are_told(tmp_path: Path) -> None:
    expected = {"png-gray1": 1, "png-gray2": 2, "png-gray4": 4, "png-palette": 8, "tiff-1bit": 1, "avif-10bit": 10}
    for kind, bits in expected.items():
        assert read_header(KINDS[kind](tmp_path), max_pixels=LIMIT).bits == bits
    words = {
        "png-palette-transparent": "palette with transparency",
        "png-rgb16-transparent-colour": "16-bit RGB with a transparent colour",
        "avif-10bit-alpha": "10-bit RGB with alpha",
        "tiff-cmyk16": "16-bit CMYK",
    }
    for kind, said in words.items():
        assert read_header(KINDS[kind](tmp_path), max_pixels=LIMIT).kind == said


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png16", "png-alpha", "jpeg", "webp", "tiff16", "tiff-planar"])
def test_every_orientation_is_applied_to_pixels_and_alpha(tmp_path: Path, kind: str, orientation: int) -> None:
    deep = kind in ("png16", "tiff16")
    upright = parts.gradient(3, "uint16" if deep else "uint8")
    alpha = parts.opacity("uint16" if deep else "uint8")
    stored, opaque = parts.turned(upright, orientation), parts.turned(alpha, orientation)
    path = tmp_path / "photo"
    exif = parts.exif(orientation)
    if kind in ("png16", "png-alpha"):
        encoded = bytes(imagecodecs.png_encode(np.dstack([stored, opaque])))
        path.write_bytes(png.insert_png_chunks(encoded, (b"eXIf", exif)))
    elif kind == "jpeg":
        Image.fromarray(stored).save(path, "JPEG", quality=95, exif=b"Exif\0\0" + exif)
    elif kind == "webp":
        Image.fromarray(np.dstack([stored, opaque])).save(path, "WEBP", lossless=True, exact=True, exif=exif)
    else:
        planar = kind == "tiff-planar"
        data = np.moveaxis(stored, -1, 0) if planar else np.dstack([stored, opaque])
        tifffile.imwrite(
            path,
            np.ascontiguousarray(data),
            photometric="rgb",
            planarconfig="separate" if planar else "contig",
            extrasamples=None if planar else ["unassalpha"],
            extratags=[(274, 3, 1, orientation, True)],
            metadata=None,
        )
    picture = read_picture(path, max_pixels=LIMIT)
    assert picture.layout.side == (HEIGHT, WIDTH)
    if kind == "jpeg":
        assert np.abs(picture.pixels.astype(int) - upright).mean() < 12
    else:
        np.testing.assert_array_equal(picture.pixels, upright)
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, alpha)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_by_its_own_properties(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(parts.turned(parts.gradient(3), orientation))
    exif = parts.exif(orientation)
    stored.save(tmp_path / "photo.avif", quality=100, subsampling="4:4:4", exif=exif)
    picture = read_picture(tmp_path / "photo.avif", max_pixels=LIMIT)
    # Through YCbCr of 8 bits, without loss besides.
    assert np.abs(picture.pixels.astype(int) - parts.gradient(3)).max() <= 3


@pytest.mark.parametrize(("bits", "top"), [(10, 1023), (12, 4095)])
def test_10_and_12_bits_fill_the_range_of_16(tmp_path: Path, bits: int, top: int) -> None:
    values = np.resize(np.arange(top + 1, dtype=np.uint16), (64, 64, 3))
    values[0, 0], values[0, 1] = 0, top
    encoded = imagecodecs.avif_encode(values, level=100, bitspersample=bits, pixelformat="444")
    (tmp_path / "deep.avif").write_bytes(bytes(encoded))
    pixels = read_picture(tmp_path / "deep.avif", max_pixels=LIMIT).pixels
    np.testing.assert_array_equal(pixels, (values.astype(np.uint64) * 65535 * 2 + top) // (2 * top))
    assert (pixels.min(), pixels.max()) == (0, 65535)


def test_a_transparent_colour_hides_only_that_colour(tmp_path: Path) -> None:
    for kind in ("png-rgb-transparent-colour", "png-rgb16-transparent-colour", "png-gray16-transparent"):
        picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
        assert picture.alpha is not None
        assert picture.alpha[3, 4] == picture.alpha[5, 6] == 0
        assert picture.alpha[7, 8] == np.iinfo(picture.alpha.dtype).max


def test_premultiplied_colours_come_straight_and_black_where_nothing_shows(tmp_path: Path) -> None:
    for kind, dtype in (("tiff-rgba8-premultiplied", "uint8"), ("tiff-rgba16-premultiplied", "uint16")):
        picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
        true, top = parts.gradient(3, dtype).astype(float), np.iinfo(dtype).max
        assert picture.pixels[:, 0].max() == 0
        # Rounding to whole levels once costs half a level of the product.
        worst = 0.5 * top / np.maximum(parts.opacity(dtype), 1)[..., None] + 0.5
        assert (np.abs(picture.pixels - true) <= worst)[:, 1:].all()


def test_a_mask_of_unknown_meaning_is_left_out_with_a_warning(tmp_path: Path) -> None:
    whole = np.dstack([parts.gradient(3), parts.opacity()])
    tifffile.imwrite(tmp_path / "mask.tif", whole, photometric="rgb", extrasamples=[0], metadata=None)
    picture = read_picture(tmp_path / "mask.tif", max_pixels=LIMIT)
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels, parts.gradient(3))
    assert "1 channels besides colour and opacity were left out" in picture.warnings[0]


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    path = KINDS["jpeg-rgb"](tmp_path).rename(tmp_path / "photo.tiff")
    assert read_header(path, max_pixels=LIMIT).format == "JPEG"


def test_threads_read_at_once(tmp_path: Path) -> None:
    paths = [KINDS[kind](tmp_path) for kind in SAMPLES] * 2
    alone = [read_picture(path, max_pixels=LIMIT) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda path: read_picture(path, max_pixels=LIMIT), paths))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_bilevel_picture_is_one_bit_until_it_is_changed(tmp_path: Path) -> None:
    picture = read_picture(KINDS["tiff-1bit"](tmp_path), max_pixels=LIMIT)
    assert picture.layout.bits == 1
    assert set(np.unique(picture.pixels)) == {0, 255}
    assert replace(picture, header=None).layout == Layout(width=WIDTH, height=HEIGHT, color=picture.color)


@pytest.mark.parametrize("kind", SAMPLES)
def test_pixels_can_be_written_to(tmp_path: Path, kind: str) -> None:
    picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
    for samples in (picture.pixels, picture.alpha):
        assert samples is None or (samples.flags.writeable and samples.flags.c_contiguous)
