"""Reading pictures: every kind at its full depth, upright, and what is refused."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from efdn.errors import ImageError
from efdn.pictures.frames import read_frames, read_loops
from efdn.pictures.header import read_header
from efdn.pictures.picture import Layout
from efdn.pictures.reading import read_picture
from tests import picture_samples as samples
from tests.picture_samples import HEIGHT, KINDS, SAMPLES, WIDTH

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
    error = np.abs(picture.pixels.astype(int) - samples.gradient(picture.color.channels))
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
    upright = samples.gradient(3, "uint16" if deep else "uint8")
    alpha = samples.opacity("uint16" if deep else "uint8")
    stored, opaque = samples.turned(upright, orientation), samples.turned(alpha, orientation)
    path = tmp_path / "photo"
    exif = samples.exif(orientation)
    if kind in ("png16", "png-alpha"):
        encoded = bytes(imagecodecs.png_encode(np.dstack([stored, opaque])))
        path.write_bytes(samples.insert_png_chunks(encoded, (b"eXIf", exif)))
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
    stored = Image.fromarray(samples.turned(samples.gradient(3), orientation))
    exif = samples.exif(orientation)
    stored.save(tmp_path / "photo.avif", quality=100, subsampling="4:4:4", exif=exif)
    picture = read_picture(tmp_path / "photo.avif", max_pixels=LIMIT)
    # Through YCbCr of 8 bits, without loss besides.
    assert np.abs(picture.pixels.astype(int) - samples.gradient(3)).max() <= 3


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
        true, top = samples.gradient(3, dtype).astype(float), np.iinfo(dtype).max
        assert picture.pixels[:, 0].max() == 0
        # Rounding to whole levels once costs half a level of the product.
        worst = 0.5 * top / np.maximum(samples.opacity(dtype), 1)[..., None] + 0.5
        assert (np.abs(picture.pixels - true) <= worst)[:, 1:].all()


def test_a_mask_of_unknown_meaning_is_left_out_with_a_warning(tmp_path: Path) -> None:
    whole = np.dstack([samples.gradient(3), samples.opacity()])
    tifffile.imwrite(tmp_path / "mask.tif", whole, photometric="rgb", extrasamples=[0], metadata=None)
    picture = read_picture(tmp_path / "mask.tif", max_pixels=LIMIT)
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels, samples.gradient(3))
    assert "1 channels besides colour and opacity were left out" in picture.warnings[0]


def test_the_first_of_several_is_taken_with_a_warning(tmp_path: Path) -> None:
    for kind in ("apng", "webp-animated", "gif-animated", "avif-animated"):
        picture = read_picture(KINDS[kind](tmp_path), max_pixels=LIMIT)
        assert "is an animation of 3 frames: only the first was taken, --frames all" in picture.warnings[0]
    picture = read_picture(KINDS["tiff-pages"](tmp_path), max_pixels=LIMIT)
    assert "has 3 pages: only the first was taken" in picture.warnings[0]


@pytest.mark.parametrize("kind", ["apng", "webp-animated", "gif-animated", "avif-animated"])
def test_frames_come_composed_with_their_durations(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path)
    frames = list(read_frames(path, max_pixels=LIMIT))
    assert [frame.duration_ms for frame in frames] == ([100.0] * 3 if kind.startswith("avif") else [40.0, 80.0, 120.0])
    assert read_loops(path, max_pixels=LIMIT) == 0
    # GIF has 256 colours, AVIF was saved with quality 90.
    tolerance = {"gif-animated": 25, "avif-animated": 12}.get(kind, 0)
    for frame, expected in zip(frames, samples.frames_of(), strict=True):
        error = np.abs(frame.picture.pixels.astype(int) - np.asarray(expected)[..., :3])
        assert error.mean() <= tolerance
        assert frame.picture.alpha is None or frame.picture.alpha.min() == 255


def test_pages_of_a_tiff_are_frames_without_duration(tmp_path: Path) -> None:
    path = KINDS["tiff-pages"](tmp_path)
    for index, frame in enumerate(read_frames(path, max_pixels=LIMIT)):
        np.testing.assert_array_equal(frame.picture.pixels, samples.gradient(3, seed=index))
        assert frame.duration_ms == 0
    assert read_loops(path, max_pixels=LIMIT) == 1


def test_a_still_picture_is_one_frame(tmp_path: Path) -> None:
    (frame,) = read_frames(KINDS["png-rgb16"](tmp_path), max_pixels=LIMIT)
    np.testing.assert_array_equal(frame.picture.pixels, samples.gradient(3, "uint16"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_apng_frames_are_blended_and_disposed_of_at_full_depth(tmp_path: Path, dtype: str) -> None:
    top = int(np.iinfo(dtype).max)
    canvas = np.zeros((4, 6, 4), dtype)
    canvas[..., 0], canvas[..., 3] = top, top
    half = np.full((2, 2, 4), top // 2, dtype)
    clear = np.zeros((2, 2, 4), dtype)
    # Laid over and put back; put in place and cleared; at last nothing laid over what is left.
    content = _apng(canvas, [(half, 1, 1, 2, 1), (clear, 3, 1, 1, 0), (half, 0, 0, 0, 1)])
    (tmp_path / "moving.png").write_bytes(content)
    first, over, cleared, last = (frame.picture for frame in read_frames(tmp_path / "moving.png", max_pixels=LIMIT))
    np.testing.assert_array_equal(first.pixels, canvas[..., :3])
    share = (top // 2) / top
    mixed = np.rint([top // 2 * share + top * (1 - share), top // 2 * share, top // 2 * share])
    np.testing.assert_array_equal(over.pixels[1:3, 1:3], np.broadcast_to(mixed, (2, 2, 3)))
    np.testing.assert_array_equal(cleared.pixels[1, 1], canvas[1, 1, :3])
    assert cleared.alpha is not None
    assert last.alpha is not None
    assert (cleared.alpha[1, 3], cleared.alpha[0, 0], last.alpha[1, 3]) == (0, top, 0)


def _apng(canvas: samples.Array, frames: list[tuple[samples.Array, int, int, int, int]]) -> bytes:
    """An animation of a whole first frame, and parts: pixels, x, y, disposal, blending."""
    still = bytes(imagecodecs.png_encode(canvas))
    parts = [(canvas, 0, 0, 0, 0), *frames]
    chunks = [(b"acTL", struct.pack(">II", len(parts), 0))]
    number = 0
    for index, (pixels, x, y, disposal, blending) in enumerate(parts):
        height, width = pixels.shape[:2]
        control = struct.pack(">IIIIIHHBB", number, width, height, x, y, 1, 10, disposal, blending)
        rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        chunks.append((b"fcTL", control))
        chunks.append((b"IDAT", data) if index == 0 else (b"fdAT", struct.pack(">I", number + 1) + data))
        number += 1 if index == 0 else 2
    body = b"".join(samples.png_chunk(*chunk) for chunk in [*chunks, (b"IEND", b"")])
    return still[:33] + body


def test_gif_transparency_that_only_saves_bytes_is_no_alpha(tmp_path: Path) -> None:
    path = KINDS["gif-animated"](tmp_path)
    content = bytearray(path.read_bytes())
    first = content.index(b"\x21\xf9\x04")
    later = content.index(b"\x21\xf9\x04", first + 1)
    for control, alpha in ((later, False), (first, True)):
        content[control + 3] |= 1
        path.write_bytes(content)
        assert read_header(path, max_pixels=LIMIT).layout.alpha == alpha


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    path = KINDS["jpeg-rgb"](tmp_path).rename(tmp_path / "photo.tiff")
    assert read_header(path, max_pixels=LIMIT).format == "JPEG"


def test_unreadable_files_are_explained_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(KINDS["png-rgb16"](tmp_path).read_bytes()[:700])
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x20ftypheic" + bytes(40))
    (tmp_path / "clip.png").write_bytes(b"\0\0\0\x20ftypisom" + bytes(40))
    (tmp_path / "folder.png").mkdir()
    cases = {
        "none.png": "no file .*expected a picture",
        "text.png": "not a PNG, JPEG, .* picture, whatever its name says",
        "empty.png": "not a PNG",
        "cut.png": "broken or truncated",
        "phone.jpg": "is a HEIC picture.*convert it",
        "clip.png": "is a video",
        "folder.png": "is a folder",
    }
    for name, said in cases.items():
        for read in (read_header, read_picture):
            with pytest.raises(ImageError, match=said) as raised:
                read(tmp_path / name, max_pixels=LIMIT)
            assert "\n" not in str(raised.value)


def test_kinds_that_would_lose_are_refused_with_what_to_do(tmp_path: Path) -> None:
    gray = samples.gradient(1, "uint16")[..., 0]
    tifffile.imwrite(tmp_path / "float.tif", gray.astype(np.float32), metadata=None)
    tifffile.imwrite(tmp_path / "int.tif", gray.astype(np.uint32), metadata=None)
    tifffile.imwrite(tmp_path / "signed.tif", gray.astype(np.int16), metadata=None)
    tifffile.imwrite(tmp_path / "lab.tif", samples.gradient(3), photometric="cielab", metadata=None)
    cases = {
        "float.tif": "32-bit floating-point numbers.*convert it to 8- or 16-bit RGB",
        "int.tif": "32-bit numbers",
        "signed.tif": "16-bit signed",
        "lab.tif": "CIELAB",
    }
    for name, said in cases.items():
        with pytest.raises(ImageError, match=said):
            read_header(tmp_path / name, max_pixels=LIMIT)


@pytest.mark.parametrize("kind", SAMPLES)
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path)
    with pytest.raises(ImageError, match=r"(23x17|17x23) pixels, more than the limit of 390: raise --max-pixels"):
        read_header(path, max_pixels=WIDTH * HEIGHT - 1)
    read_header(path, max_pixels=WIDTH * HEIGHT)


def test_pillows_own_limit_neither_warns_nor_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [KINDS[kind](tmp_path) for kind in ("png-rgb8", "jpeg-rgb", "webp-animated", "gif-animated", "bmp")]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for path in paths:
        assert list(read_frames(path, max_pixels=LIMIT))


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
