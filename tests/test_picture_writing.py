"""Writing pictures: what comes back, pixel by pixel, and in how much memory."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from efdn.errors import OutputError
from efdn.pictures.formats import check_fits
from efdn.pictures.picture import Color, Layout, Metadata, Picture, Pixels
from efdn.pictures.png.compression import RowBlocks, deflate
from efdn.pictures.png.writer import paeth
from efdn.pictures.rows import DEFAULT_SAVING, SaveOptions
from efdn.pictures.tiff.writer import TiffEncoder
from efdn.pictures.writing import open_writer, write_picture
from tests.picture_writing_samples import (
    ENDINGS,
    LAYOUTS,
    RGB,
    full_metadata,
    pixels_of,
    rgb_profile,
    with_pillow,
    write,
)


def fits(ending: str, layout: Layout) -> bool:
    try:
        check_fits(Path("name" + ending), layout)
    except OutputError:
        return False
    return True


def with_others(path: Path) -> Pixels:
    """As libpng and tifffile read it."""
    content = path.read_bytes()
    pixels = np.asarray(imagecodecs.png_decode(content) if path.suffix == ".png" else tifffile.imread(path))
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return pixels.reshape(*pixels.shape[:2], -1)


CELLS = [(ending, layout) for ending in ENDINGS for layout in LAYOUTS if fits(ending, layout)]


@pytest.mark.parametrize(("ending", "layout"), CELLS, ids=lambda value: str(value))
def test_every_kind_of_picture_comes_back(tmp_path: Path, ending: str, layout: Layout) -> None:
    path, pixels = tmp_path / f"picture{ending}", pixels_of(layout)
    write(path, pixels, layout)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    if ending in (".jpg", ".avif"):
        error = np.abs(as_colors(with_pillow(path), layout).astype(int) - pixels).mean()
        # Grey levels of 255: noise at a fortieth of the range through quality 95, or 90 of AVIF.
        assert error <= 2.5
        return
    if ending in (".png", ".tif"):
        np.testing.assert_array_equal(with_others(path), pixels)
    # Pillow reads 16 bits of gray only.
    if layout.bits < 16 and not (layout.color is Color.CMYK and layout.alpha):
        np.testing.assert_array_equal(as_colors(with_pillow(path), layout), pixels)


def as_colors(pixels: Pixels, layout: Layout) -> Pixels:
    """Three equal channels as gray again, for formats that have none."""
    if layout.color is Color.GRAY and pixels.shape[2] >= 3:
        assert (np.ptp(pixels[..., :3].astype(int), axis=2) <= 1).all()
        return np.delete(pixels, [0, 1], axis=2)
    return pixels


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("compression", [0, 1, 6, 9])
def test_every_effort_gives_the_same_picture(tmp_path: Path, ending: str, compression: int) -> None:
    for layout in (RGB, replace(RGB, color=Color.GRAY, bits=1), replace(RGB, alpha=True, bits=16)):
        path, pixels = tmp_path / f"picture{ending}", pixels_of(layout)
        write(path, pixels, layout, options=SaveOptions(compression=compression))
        again = with_pillow(path) if layout.bits == 1 else with_others(path)
        np.testing.assert_array_equal(again, pixels)


def test_more_effort_gives_no_larger_file(tmp_path: Path) -> None:
    pixels, sizes = pixels_of(RGB), []
    for compression in (0, 1, 9):
        write(tmp_path / "picture.png", pixels, RGB, options=SaveOptions(compression=compression))
        sizes.append((tmp_path / "picture.png").stat().st_size)
    assert sizes[0] > sizes[1] >= sizes[2]


def test_drawings_are_matched_and_photos_are_not() -> None:
    random = np.random.default_rng(0)
    noise = np.rint(random.normal(0, 3, 100_000)).astype(np.int8).tobytes()
    drawing = random.integers(0, 256, 500, np.uint8).tobytes() * 200
    assert len(deflate(drawing, None)) < len(drawing) / 50
    assert len(deflate(noise, None)) < len(zlib.compress(noise, 6))
    for data in (noise, drawing, b"", b"x"):
        assert zlib.decompress(deflate(data, None)) == data


def test_png_is_as_small_as_pillows_on_a_photo(photo: Path) -> None:
    with Image.open(photo) as image:
        large = image.convert("RGB").resize((800, 720), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 1.5, (720, 800, 3))
    pixels = np.clip(np.rint(np.asarray(large) + noise), 0, 255).astype(np.uint8)
    reference = io.BytesIO()
    Image.fromarray(pixels).save(reference, "PNG")
    layout = Layout(width=800, height=720, color=Color.RGB)
    write(Path("photo.png"), pixels, layout, rows=64)
    assert Path("photo.png").stat().st_size <= 1.08 * len(reference.getvalue())


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4, 6, 8]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_paeth_is_as_the_standard_says(height: int, pixels: int, step: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    samples = random.integers(0, [2, 256][seed % 2], (height, pixels * step), np.uint8)
    filtered = paeth(samples, np.zeros(pixels * step, np.uint8), step)
    assert (filtered[:, 0] == 4).all()
    bordered = np.zeros((height + 1, pixels * step + step), int)
    bordered[1:, step:] = samples
    for y in range(height):
        for x in range(pixels * step):
            a, b, c = (int(bordered[y + 1, x]), int(bordered[y, x + step]), int(bordered[y, x]))
            near = min((abs(value - (a + b - c)), order, value) for order, value in enumerate((a, b, c)))
            assert filtered[y, 1 + x] == (int(samples[y, x]) - near[2]) % 256


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 20))
def test_rows_in_any_number_give_blocks_of_one_height(counts: list[int], height: int) -> None:
    rows = np.arange(sum(counts))[:, None]
    blocks, given_blocks, top = RowBlocks(height), [], 0
    for count in counts:
        part = rows[top : top + count].copy()
        given_blocks += [block.copy() for block in blocks.add(part)]
        part[:] = -1  # The caller uses its memory again.
        top += count
    assert all(len(block) == height for block in given_blocks)
    given_blocks += list(blocks.rest())
    np.testing.assert_array_equal(np.concatenate(given_blocks), rows)


def test_quality_changes_what_is_lossy(tmp_path: Path) -> None:
    for ending in (".jpg", ".webp", ".avif"):
        sizes = []
        for quality in (20, 90):
            write(tmp_path / f"p{ending}", pixels_of(RGB), RGB, options=SaveOptions(quality=quality))
            sizes.append((tmp_path / f"p{ending}").stat().st_size)
        assert sizes[0] < sizes[1]


@pytest.mark.parametrize("color", [Color.RGB, Color.CMYK, Color.GRAY])
def test_the_noisiest_jpeg_at_the_highest_quality_is_written(color: Color) -> None:
    layout = Layout(width=300, height=200, color=color)
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, layout.channels), np.uint8)
    write(Path("noise.jpg"), pixels, layout, options=SaveOptions(quality=100))
    # Rounding in the transform and in the colours, of 255 levels.
    assert np.abs(with_pillow(Path("noise.jpg")).astype(int) - pixels).max() <= 4


def test_jpegs_keep_the_resolution_of_colour() -> None:
    write(Path("picture.jpg"), pixels_of(RGB), RGB)
    with Image.open("picture.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_ink_in_a_jpeg_is_marked_as_adobe_has_it(tmp_path: Path) -> None:
    layout = replace(RGB, color=Color.CMYK)
    ink = np.zeros((43, 61, 4), np.uint8)
    ink[..., 0] = 200
    write(tmp_path / "ink.jpg", ink, layout)
    assert b"Adobe" in (tmp_path / "ink.jpg").read_bytes()
    stored = imagecodecs.jpeg8_decode((tmp_path / "ink.jpg").read_bytes(), outcolorspace="CMYK")
    # Adobe's files hold what ink leaves.
    assert np.abs(stored[20, 30].astype(int) - [55, 255, 255, 255]).max() <= 2


def test_a_picture_is_written_with_alpha_and_metadata(tmp_path: Path) -> None:
    pixels = pixels_of(replace(RGB, alpha=True))
    picture = Picture(
        pixels=pixels[..., :3], alpha=pixels[..., 3], color=Color.RGB, metadata=Metadata(icc_profile=rgb_profile())
    )
    write_picture(tmp_path / "picture.png", picture)
    with Image.open(tmp_path / "picture.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info["icc_profile"] == rgb_profile()


# Memory


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_a_wide_picture_is_written_in_little_memory(tmp_path: Path, ending: str) -> None:
    layout = Layout(width=20_000, height=600, color=Color.RGB)
    row = np.random.default_rng(0).integers(100, 108, (1, 20_000, 3), np.uint8)
    tracemalloc.start()
    try:
        with open_writer(tmp_path / f"wide{ending}", layout) as writer:
            for _ in range(layout.height):
                writer.write(row)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The picture has 36 MB; blocks of 1 MB are filtered and compressed.
    assert peak < 12 * 2**20
    read = (
        imagecodecs.png_decode((tmp_path / "wide.png").read_bytes())
        if ending == ".png"
        else tifffile.imread(tmp_path / "wide.tif")
    )
    np.testing.assert_array_equal(read, np.repeat(row, 600, axis=0))


def test_big_tiff_is_read_by_others(tmp_path: Path) -> None:
    path, pixels = tmp_path / "big.tif", pixels_of(RGB)
    with path.open("wb") as file:
        encoder = TiffEncoder(file, DEFAULT_SAVING, big=True)
        encoder.begin(RGB, full_metadata())
        encoder.write(pixels)
        encoder.finish()
    assert path.read_bytes()[:4] == b"II\x2b\0"
    np.testing.assert_array_equal(tifffile.imread(path), pixels)
    np.testing.assert_array_equal(with_pillow(path), pixels)
    with tifffile.TiffFile(path) as read:
        assert read.pages.first.tags["ExifTag"].value["ExposureTime"] == (1, 125)


def test_tiff_becomes_big_where_offsets_could_overflow() -> None:
    from efdn.pictures.tiff.writer import is_big

    sides = {20_000: False, 40_000: True}
    assert {side: is_big(Layout(width=side, height=side, color=Color.RGB)) for side in sides} == sides
