"""Pictures: what is kept, and what is refused rather than lost."""

import contextlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from efdn.errors import ImageError, OutputError
from efdn.images import Photo, read_photo, write_photo
from tests.conftest import noise

LIMIT = 1 << 20


@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".jpeg", ".webp"])
def test_round_trip_keeps_size_profile_and_nearly_the_pixels(tmp_path: Path, photo: Path, ending: str) -> None:
    original = read_photo(photo, max_pixels=LIMIT)
    assert original.pixels.shape == (180, 200, 3)
    assert original.icc_profile
    write_photo(original, tmp_path / f"out{ending}")
    again = read_photo(tmp_path / f"out{ending}", max_pixels=LIMIT)
    assert again.icc_profile == original.icc_profile
    error = np.abs(again.pixels.astype(int) - original.pixels)
    # JPEG at quality 95 without chroma subsampling: under two levels on average. The others are lossless.
    assert error.mean() <= (2 if ending in (".jpg", ".jpeg") else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that put the camera back.
    image = Image.fromarray(upright)
    if orientation > 1:
        image = image.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "photo.png", max_pixels=LIMIT).pixels, upright)


def write_png(path: Path, width: int, height: int, bits: int) -> None:
    """An RGB PNG header with almost no pixels behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(7))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize(
    ("mode", "said"),
    [("RGBA", "alpha"), ("LA", "gray with alpha"), ("P", "palette"), ("L", "gray"), ("1", "1-bit"), ("I;16", "16")],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, mode: str, said: str) -> None:
    path = tmp_path / "picture.png"
    Image.new(mode, (20, 20)).save(path)
    with pytest.raises(ImageError, match=f"{said}.*8"):
        read_photo(path, max_pixels=LIMIT)


def test_16_bit_rgb_is_refused_although_pillow_would_reduce_it(tmp_path: Path) -> None:
    write_png(tmp_path / "deep.png", 1, 1, bits=16)  # Pillow reads such files, but does not write them.
    with pytest.raises(ImageError, match="16 bits a channel"):
        read_photo(tmp_path / "deep.png", max_pixels=LIMIT)


def test_transparent_colour_animation_and_cmyk_are_refused(tmp_path: Path) -> None:
    image = Image.fromarray(noise(20, 20))
    image.save(tmp_path / "key.png", transparency=(1, 2, 3))
    image.save(tmp_path / "moving.png", save_all=True, append_images=[Image.fromarray(noise(20, 20, 1))])
    image.convert("CMYK").save(tmp_path / "print.jpg")
    for name, said in (("key.png", "transparent colour"), ("moving.png", "animation of 2"), ("print.jpg", "CMYK")):
        with pytest.raises(ImageError, match=said):
            read_photo(tmp_path / name, max_pixels=LIMIT)


def test_unreadable_files_are_explained(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:20_000])
    (tmp_path / "empty.png").touch()
    cases = {
        "none.png": "no file",
        "text.png": "not a PNG",
        "cut.png": "truncated",
        "empty.png": "not a PNG",
        "": "is a folder",
    }
    for name, said in cases.items():
        with pytest.raises(ImageError, match=said):
            read_photo(tmp_path / name, max_pixels=LIMIT)


def test_large_pictures_are_refused_before_decoding(tmp_path: Path) -> None:
    # 900 megapixels: Pillow alone would stop here with an error of its own.
    write_png(tmp_path / "bomb.png", 30_000, 30_000, bits=8)
    with pytest.raises(ImageError, match=r"30000x30000 pixels, more than the limit.*--max-pixels"):
        read_photo(tmp_path / "bomb.png", max_pixels=LIMIT)


def test_a_phone_jpeg_with_a_preview_is_its_photo(tmp_path: Path) -> None:
    first = Image.new("RGB", (24, 16), (200, 30, 30))
    first.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (12, 8))])
    pixels = read_photo(tmp_path / "phone.jpg", max_pixels=LIMIT).pixels
    assert pixels.shape == (16, 24, 3)
    assert pixels[..., 0].min() > 190


@given(st.integers(0, 1400), st.integers(0, 1400), st.integers(1, 255), st.sampled_from(["png", "jpg", "webp"]))
@settings(max_examples=150)
def test_damaged_files_give_a_picture_or_an_error(cut: int, at: int, flip: int, kind: str) -> None:
    path = Path(f"damaged.{kind}")
    Image.fromarray(noise(20, 18)).save(path)
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= flip
    path.write_bytes(content[: len(content) - cut % len(content)])
    # Any other exception fails the test.
    with contextlib.suppress(ImageError):
        assert read_photo(path, max_pixels=LIMIT).pixels.shape[2] == 3


def test_a_format_that_cannot_hold_the_picture_is_refused(tmp_path: Path) -> None:
    wide = Photo(pixels=np.zeros((1, 16_384, 3), np.uint8))
    with pytest.raises(OutputError, match=r"16383 pixels a side.*\.png"):
        write_photo(wide, tmp_path / "wide.webp")
    with pytest.raises(OutputError, match=r"ending in \.png"):
        write_photo(wide, tmp_path / "wide.bmp")
    assert list(tmp_path.iterdir()) == []
