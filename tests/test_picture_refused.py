"""Pictures that are not read, and how that is told."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from efdn.errors import ImageError
from efdn.pictures.frames import read_frames
from efdn.pictures.header import read_header
from efdn.pictures.reading import read_picture
from tests import picture_parts as parts
from tests.picture_parts import HEIGHT, WIDTH
from tests.picture_samples import KINDS, SAMPLES

LIMIT = 10_000


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
        "empty.png": "empty.png is empty, expected a PNG",
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
    gray = parts.gradient(1, "uint16")[..., 0]
    tifffile.imwrite(tmp_path / "float.tif", gray.astype(np.float32), metadata=None)
    tifffile.imwrite(tmp_path / "int.tif", gray.astype(np.uint32), metadata=None)
    tifffile.imwrite(tmp_path / "signed.tif", gray.astype(np.int16), metadata=None)
    tifffile.imwrite(tmp_path / "lab.tif", parts.gradient(3), photometric="cielab", metadata=None)
    cases = {
        "float.tif": "32-bit floating-point numbers.*convert it to 8- or 16-bit RGB",
        "int.tif": "32-bit numbers",
        "signed.tif": "16-bit signed",
        "lab.tif": "CIELAB",
    }
    for name, said in cases.items():
        with pytest.raises(ImageError, match=said):
            read_header(tmp_path / name, max_pixels=LIMIT)


def test_fax_compression_without_its_codec_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(parts.bilevel()[..., 0]).convert("1")
    image.save(tmp_path / "fax.tif", compression="group4")
    monkeypatch.setattr("efdn.pictures.tiff.kind._has_fax", lambda: False)
    with pytest.raises(ImageError, match=r"like a fax, by method 4.*save it with LZW"):
        read_header(tmp_path / "fax.tif", max_pixels=LIMIT)


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


LONG_TAIL = 200 << 20


@pytest.mark.parametrize("kind", ["jpeg-rgb", "gif", "gif-animated", "bmp", "webp-lossless", "avif"])
def test_what_lies_behind_a_small_picture_takes_no_memory(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path)
    read_header(path, max_pixels=LIMIT)
    with path.open("ab") as file:
        file.truncate(file.tell() + LONG_TAIL)
    tracemalloc.start()
    try:
        read_header(path, max_pixels=LIMIT)
        if kind in ("gif", "gif-animated", "bmp"):
            assert list(read_frames(path, max_pixels=LIMIT))
        else:
            with pytest.raises(ImageError, match=r"bytes: expected at most \d+ of 391 pixels"):
                read_picture(path, max_pixels=LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_photo_with_a_video_behind_it_is_read(tmp_path: Path) -> None:
    path = KINDS["jpeg-progressive"](tmp_path)
    before = read_picture(path, max_pixels=LIMIT).pixels
    video = np.random.default_rng(0).integers(0, 256, 20 << 20, np.uint8).tobytes()
    path.write_bytes(path.read_bytes() + b"\xff\xda" * 2000 + video)
    np.testing.assert_array_equal(read_picture(path, max_pixels=LIMIT).pixels, before)


def test_metadata_longer_than_the_first_megabyte_of_a_jpeg_is_read(tmp_path: Path) -> None:
    path = KINDS["jpeg-rgb"](tmp_path)
    content = path.read_bytes()
    segment = b"\xff\xe5" + struct.pack(">H", 65_535) + bytes(65_533)
    path.write_bytes(content[:2] + segment * 20 + content[2:])
    assert read_header(path, max_pixels=LIMIT).layout.side == (HEIGHT, WIDTH)
    assert read_picture(path, max_pixels=LIMIT).pixels.shape == (HEIGHT, WIDTH, 3)
