"""Resizing row by row: as the whole picture, in little memory, without fringes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from efdn.errors import ShapeError, UsageError
from efdn.pictures import resize
from efdn.pictures.picture import Color, Layout, Pixels
from efdn.pictures.resize import parse_size, resized_rows
from tests.picture_writing_samples import LAYOUTS, pixels_of

LANCZOS = Image.Resampling.LANCZOS
MODES = {Color.GRAY: "L", Color.RGB: "RGB", Color.CMYK: "CMYK"}


def blocks_of(pixels: Pixels, rows: int = 7) -> Iterator[Pixels]:
    for top in range(0, len(pixels), rows):
        yield pixels[top : top + rows]


def streamed(pixels: Pixels, layout: Layout, width: int, height: int, rows: int = 7) -> Pixels:
    return np.concatenate(list(resized_rows(blocks_of(pixels, rows), layout, width, height)))


def whole(pixels: Pixels, color: Color, width: int, height: int) -> Pixels:
    """Across and then down; Pillow alone takes one or the other first, and rounds in between."""
    mode = MODES[color]
    image = Image.frombuffer(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels), "raw", mode, 0, 1)
    across = image.resize((width, image.height), LANCZOS)
    return np.asarray(across.resize((width, height), LANCZOS)).reshape(height, width, -1)


@given(
    st.integers(1, 150),
    st.integers(1, 40),
    st.integers(1, 150),
    st.integers(1, 40),
    st.sampled_from(list(Color)),
    st.integers(1, 40),
)
@settings(max_examples=150)
def test_row_by_row_is_bit_for_bit_the_whole(
    height: int, width: int, new_height: int, new_width: int, color: Color, rows: int
) -> None:
    layout = Layout(width=width, height=height, color=color)
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, color.channels), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        # Bands of a few rows, so that there are many.
        patch.setattr(resize, "BAND_BYTES", 1)
        patch.setattr(resize, "FEWEST_ROWS", 3)
        found = streamed(pixels, layout, new_width, new_height, rows)
    np.testing.assert_array_equal(found, whole(pixels, color, new_width, new_height))


@pytest.mark.parametrize("size", [(1500, 700), (333, 1200), (1, 1), (999, 701), (1000, 350)])
def test_a_larger_picture_is_bit_for_bit_the_whole(size: tuple[int, int]) -> None:
    layout = Layout(width=1000, height=700, color=Color.RGB)
    pixels = np.random.default_rng(0).integers(0, 256, (700, 1000, 3), np.uint8)
    np.testing.assert_array_equal(streamed(pixels, layout, *size, rows=64), whole(pixels, Color.RGB, *size))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("size", [(30, 21), (100, 80), (61, 43)])
def test_every_kind_keeps_its_kind(layout: Layout, size: tuple[int, int]) -> None:
    found = streamed(pixels_of(layout), layout, *size)
    assert found.shape == (size[1], size[0], layout.channels)
    assert found.dtype == layout.dtype


def test_16_bits_are_as_exact_as_floats() -> None:
    layout = Layout(width=61, height=43, color=Color.RGB, bits=16)
    pixels = pixels_of(layout)
    planes = [
        Image.fromarray(pixels[..., index].astype(np.float32)).resize((40, 43), LANCZOS).resize((40, 90), LANCZOS)
        for index in range(3)
    ]
    expected = np.clip(np.stack([np.asarray(plane) for plane in planes], axis=2), 0, 65535)
    # Half a level of rounding, and what single precision leaves of the positions.
    assert np.abs(streamed(pixels, layout, 40, 90) - expected).max() <= 0.51


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_transparent_does_not_shine_through(bits: int) -> None:
    layout = Layout(width=60, height=60, color=Color.RGB, alpha=True, bits=bits)
    most = 65535 if bits == 16 else 255
    pixels = np.zeros((60, 60, 4), layout.dtype)
    pixels[...] = (0, most, 0, 0)  # Green that nobody sees.
    pixels[20:40, 20:40] = (most, 0, most // 3, most)
    for size in ((23, 31), (150, 140)):
        found = streamed(pixels, layout, *size)
        seen = found[found[..., 3] > most // 50].astype(int)
        # A level of 255 for rounding alone; the edge may over- or undershoot alpha, never colour.
        assert np.abs(seen[:, :3] - (most, 0, most // 3)).max() <= most // 255
        assert (found[..., 3] == most).any()
        assert (found[..., 3] == 0).any()


def test_with_alpha_opaque_parts_are_as_without() -> None:
    layout = Layout(width=61, height=43, color=Color.RGB, alpha=True)
    pixels = pixels_of(layout)
    pixels[..., 3] = 255
    found = streamed(pixels, layout, 40, 90)
    assert (found[..., 3] == 255).all()
    # Pillow rounds once more between the axes.
    assert np.abs(found[..., :3].astype(int) - whole(pixels[..., :3], Color.RGB, 40, 90)).max() <= 1


def test_a_tall_picture_is_resized_in_little_memory() -> None:
    layout = Layout(width=4000, height=8000, color=Color.RGB)
    block = np.random.default_rng(0).integers(0, 256, (16, 4000, 3), np.uint8)
    rows = 0
    tracemalloc.start()
    try:
        for resized in resized_rows((block for _ in range(500)), layout, 1000, 2000):
            rows += len(resized)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 2000
    # The picture has 96 MB.
    assert peak < 40 * 2**20


def test_missing_rows_are_said() -> None:
    layout = Layout(width=61, height=43, color=Color.RGB)
    with pytest.raises(ShapeError, match="expected 43 rows, got 42"):
        streamed(pixels_of(layout)[:-1], layout, 30, 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1920x1080", (1920, 1080)),
        ("1920X", (1920, 960)),
        ("x1080", (2160, 1080)),
        (" 50% ", (400, 200)),
        ("12.5%", (100, 50)),
        ("0.01%", (1, 1)),
        ("1x", (1, 1)),
        ("801x", (801, 401)),
    ],
)
def test_sizes_are_understood(text: str, expected: tuple[int, int]) -> None:
    assert parse_size(text, 800, 400) == expected


@pytest.mark.parametrize("text", ["", "x", "%", "100", "0x5", "5x0", "0%", "-5x5", "5x5x5", "axb", "1.5x2", "1e3%"])
def test_other_sizes_are_explained(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected a size (such as 1920x1080, 1920x, x1080 or 50%|of 1 to)"):
        parse_size(text, 800, 400)


@pytest.mark.parametrize("text", ["9999999x5", "x9999999", "1000000x", "99999999%"])
def test_sizes_beyond_sense_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="of 1 to 1000000 pixels a side"):
        parse_size(text, 80, 400)
