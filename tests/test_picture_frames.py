"""Frames of animations and pages of TIFFs."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from efdn.pictures.frames import read_frames, read_loops
from efdn.pictures.header import read_header
from efdn.pictures.reading import read_picture
from tests import picture_parts as parts
from tests import picture_samples_png as png
from tests.picture_samples import KINDS

LIMIT = 10_000


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
    for frame, expected in zip(frames, parts.frames_of(), strict=True):
        error = np.abs(frame.picture.pixels.astype(int) - np.asarray(expected)[..., :3])
        assert error.mean() <= tolerance
        assert frame.picture.alpha is None or frame.picture.alpha.min() == 255


def test_pages_of_a_tiff_are_frames_without_duration(tmp_path: Path) -> None:
    path = KINDS["tiff-pages"](tmp_path)
    for index, frame in enumerate(read_frames(path, max_pixels=LIMIT)):
        np.testing.assert_array_equal(frame.picture.pixels, parts.gradient(3, seed=index))
        assert frame.duration_ms == 0
    assert read_loops(path, max_pixels=LIMIT) == 1


def test_a_still_picture_is_one_frame(tmp_path: Path) -> None:
    (frame,) = read_frames(KINDS["png-rgb16"](tmp_path), max_pixels=LIMIT)
    np.testing.assert_array_equal(frame.picture.pixels, parts.gradient(3, "uint16"))


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


def _apng(canvas: parts.Array, frames: list[tuple[parts.Array, int, int, int, int]]) -> bytes:
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
    body = b"".join(png.png_chunk(*chunk) for chunk in [*chunks, (b"IEND", b"")])
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
