"""Damaged files of every kind: a picture or an ImageError, in bounded memory, and nothing else."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from efdn.errors import ImageError
from efdn.pictures.frames import read_frames
from efdn.pictures.header import read_header
from efdn.pictures.reading import read_picture
from tests import picture_parts as parts
from tests import picture_samples_png as png
from tests.picture_samples import KINDS, SAMPLES

LIMIT = 10_000

CASES = 45
"""Of each kind; with 78 kinds, 3500 in all."""

MOST_BYTES = 8 << 20
"""Of memory that Python and NumPy take for any of these files, all of a few kilobytes and at most 10,000 pixels."""


def damaged(content: bytes, random: Random) -> bytes:
    """A file cut off anywhere, or with some bytes changed, removed or put in; most often near the beginning."""
    data = bytearray(content)
    if random.random() < 0.25:
        return bytes(data[: random.randrange(len(data))])
    reach = min(len(data), 400) if random.random() < 0.6 else len(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(reach)
        data[at] = random.choice((data[at] ^ 1 << random.randrange(8), random.randrange(256), 0, 255))
    if random.random() < 0.1:
        at = random.randrange(len(data))
        data[at : at + random.randrange(1, 9)] = random.randbytes(random.randrange(9))
    return bytes(data)


def with_sound_check_sums(png: bytes) -> bytes:
    """A damaged PNG whose chunks claim to be sound, or nothing beyond the check sums would be tried."""
    data, at = bytearray(png), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        struct.pack_into(">I", data, at + 8 + length, zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(data)


def cases(kind: str, folder: Path, count: int) -> Iterator[Path]:
    """Damaged files of a kind, one after the other in the same place."""
    content = KINDS[kind](folder).read_bytes()
    path = folder / "damaged"
    for number in range(count):
        random = Random(f"{kind} {number}")
        data = damaged(content, random)
        is_png = content.startswith(png.PNG_SIGNATURE)
        path.write_bytes(with_sound_check_sums(data) if is_png and random.random() < 0.8 else data)
        yield path


def read_or_refuse(path: Path) -> bool:
    """Reads a file, with all frames; whether that worked. Anything but an ImageError of one line fails the test."""
    try:
        picture = read_picture(path, max_pixels=LIMIT)
        frames = [frame.picture.layout for frame in read_frames(path, max_pixels=LIMIT)]
    except ImageError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert str(path) in message
        assert "\n" not in message
        return False
    assert picture.header is not None
    assert {picture.header.layout, *frames} == {picture.layout}
    assert picture.pixels.shape == (*picture.layout.side, picture.color.channels)
    return True


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files_give_a_picture_or_an_error(tmp_path: Path, kind: str) -> None:
    assert read_or_refuse(KINDS[kind](tmp_path))
    readable = sum(read_or_refuse(path) for path in cases(kind, tmp_path, CASES))
    # Cutting alone must have spoilt some; or nothing was damaged.
    assert readable < CASES * 0.9


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files_take_little_memory(tmp_path: Path, kind: str) -> None:
    read_or_refuse(KINDS[kind](tmp_path))
    tracemalloc.start()
    try:
        for path in cases(kind, tmp_path, 6):
            tracemalloc.reset_peak()
            read_or_refuse(path)
            assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kind", ["png-rgb8", "jpeg-rgb", "webp-lossless", "tiff-1bit", "tiff-rgb8", "bmp", "gif", "avif"]
)
def test_every_cut_of_a_file_is_noticed(tmp_path: Path, kind: str) -> None:
    content = KINDS[kind](tmp_path).read_bytes()
    path = tmp_path / "cut"
    for length in range(0, len(content) * 7 // 8, max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        assert not read_or_refuse(path), length


def bombs() -> dict[str, bytes]:
    """Small files that announce 30,000 pixels a side."""
    side = 30_000
    gif = bytearray(b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0))
    gif += b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\2\1\0\0;"
    frame = struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0"
    jpeg = b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda\0\2\0\0\xff\xd9"
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + 2 * (side - 1).to_bytes(3, "little")
    webp = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 1, 1, 0, 0)
    )
    entries = ((256, 4, side), (257, 4, side), (258, 3, 8), (262, 3, 1), (273, 4, 8), (279, 4, 9), (339, 3, 1))
    ifd = b"".join(struct.pack("<HHII", tag, code, 1, value) for tag, code, value in entries)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + ifd + bytes(4)
    deep = png.packed_png(side, side, 16, 6, [b"\0"])
    return {"png": deep, "jpeg": jpeg, "webp": webp, "bmp": bmp, "tiff": tiff, "gif": bytes(gif)}


@pytest.mark.parametrize("kind", bombs())
def test_bombs_are_refused_by_their_header(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(bombs()[kind])
    tracemalloc.start()
    try:
        for read in (read_header, read_picture):
            with pytest.raises(
                ImageError, match=r"30000x30000 pixels, more than the limit of 10000: raise --max-pixels"
            ):
                read(path, max_pixels=LIMIT)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_an_avif_that_announces_too_much_is_refused(tmp_path: Path) -> None:
    content = bytearray(KINDS["avif"](tmp_path).read_bytes())
    struct.pack_into(">II", content, content.index(b"ispe") + 8, 30_000, 30_000)
    (tmp_path / "bomb.avif").write_bytes(content)
    with pytest.raises(ImageError, match="30000x30000 pixels, more than the limit"):
        read_header(tmp_path / "bomb.avif", max_pixels=LIMIT)


def test_an_avif_whose_stream_is_larger_than_announced_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.avif"
    content = bytearray(imagecodecs.avif_encode(np.zeros((1100, 1200, 3), np.uint8), speed=10))
    assert len(content) < 1000
    path.write_bytes(content)
    assert read_picture(path, max_pixels=2_000_000).layout.side == (1100, 1200)
    struct.pack_into(">II", content, content.index(b"ispe") + 8, 23, 17)
    path.write_bytes(content)
    with pytest.raises(ImageError, match="1200x1100 pixels, more than the limit"):
        read_header(path, max_pixels=LIMIT)


def test_a_moving_avif_whose_stream_is_larger_than_announced_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.avif"
    frames = [Image.new("RGB", (1200, 1100), (value, 0, 0)) for value in (0, 99)]
    frames[0].save(path, save_all=True, append_images=frames[1:], speed=10)
    assert len(list(read_frames(path, max_pixels=2_000_000))) == 2
    content = path.read_bytes().replace(
        struct.pack(">II", 1200 << 16, 1100 << 16), struct.pack(">II", 23 << 16, 17 << 16)
    )
    path.write_bytes(content.replace(struct.pack(">II", 1200, 1100), struct.pack(">II", 23, 17)))
    with pytest.raises(ImageError, match="1200x1100 pixels, more than the limit"):
        read_header(path, max_pixels=LIMIT)


def test_strips_that_inflate_beyond_their_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, parts.gradient(3), photometric="rgb", compression="zlib", metadata=None)
    bomb = zlib.compress(bytes(50 << 20))
    with tifffile.TiffFile(path, mode="r+") as file:
        page = file.pages.first
        end = file.filehandle.size
        page.tags["StripOffsets"].overwrite((end,))
        page.tags["StripByteCounts"].overwrite((len(bomb),))
    path.write_bytes(path.read_bytes()[:end] + bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="broken or truncated"):
            read_picture(path, max_pixels=LIMIT)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_pages_in_a_circle_are_refused(tmp_path: Path) -> None:
    content = bytearray(KINDS["tiff-pages"](tmp_path).read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    (tmp_path / "circle.tif").write_bytes(content)
    with pytest.raises(ImageError, match="in a circle"):
        read_header(tmp_path / "circle.tif", max_pixels=LIMIT)


def test_scans_without_end_are_refused(tmp_path: Path) -> None:
    content = KINDS["jpeg-progressive"](tmp_path).read_bytes()
    scan = content[content.rindex(b"\xff\xda") : -2]
    (tmp_path / "scans.jpg").write_bytes(content[:-2] + scan * 2000 + content[-2:])
    with pytest.raises(ImageError, match="more than 1000 scans"):
        read_picture(tmp_path / "scans.jpg", max_pixels=LIMIT)


def test_a_jpeg_inside_of_a_tiff_cannot_be_larger_than_its_strip(tmp_path: Path) -> None:
    path = KINDS["tiff-jpeg"](tmp_path)
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", content, frame, 60_000, 60_000)
    path.write_bytes(content)
    with pytest.raises(ImageError, match="60000x60000 pixels is too large"):
        read_picture(path, max_pixels=LIMIT)


def test_an_apng_frame_outside_of_the_picture_is_refused(tmp_path: Path) -> None:
    content = KINDS["apng"](tmp_path).read_bytes()
    at = content.rindex(b"fcTL") + 8
    changed = bytearray(content)
    struct.pack_into(">II", changed, at, 1 << 20, 1 << 20)
    (tmp_path / "frames.png").write_bytes(with_sound_check_sums(bytes(changed)))
    with pytest.raises(ImageError, match="a frame lies outside of the picture"):
        list(read_frames(tmp_path / "frames.png", max_pixels=LIMIT))
    assert np.array_equal(read_picture(tmp_path / "frames.png", max_pixels=LIMIT).pixels, parts.gradient(3))
