"""Pictures: what is kept, and what is refused rather than lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efdn.errors import ImageError, OutputError
from efdn.images import Photo, read_photo, write_photo
from tests.picture_samples import KINDS, SAMPLES
from tests.picture_samples_png import packed_png

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


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("png-rgba8", "an alpha channel"),
        ("png-gray-alpha8", "an alpha channel"),
        ("png-palette", "a palette"),
        ("png-rgb-transparent-colour", "a transparent colour"),
        ("png-gray16", "16 bits a channel"),
        ("png-rgb16", "16 bits a channel"),
        ("png-rgb16-dark", "16 bits a channel"),
        ("avif-10bit", "10 bits a channel"),
        ("jpeg-cmyk", "CMYK colours"),
        ("apng", "an animation of 3"),
        ("tiff-pages", "pages of 3"),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(ImageError, match=f"{said}.*convert it to plain 8-bit RGB"):
        read_photo(KINDS[kind](tmp_path), max_pixels=LIMIT)


@pytest.mark.parametrize("kind", ["png-gray8", "png-gray4", "bmp-gray", "avif-gray", "tiff-1bit-white-is-zero"])
def test_gray_becomes_rgb_without_a_profile_of_gray(tmp_path: Path, kind: str) -> None:
    photo = read_photo(KINDS[kind](tmp_path), max_pixels=LIMIT)
    expected = SAMPLES[kind].pixels
    assert expected is not None
    np.testing.assert_array_equal(photo.pixels, np.dstack([expected] * 3))
    assert photo.icc_profile is None


@pytest.mark.parametrize("kind", ["bmp", "tiff-lzw", "avif", "webp-lossless", "png-interlaced"])
def test_rgb_of_every_format_is_read(tmp_path: Path, kind: str) -> None:
    photo = read_photo(KINDS[kind](tmp_path), max_pixels=LIMIT)
    expected = SAMPLES[kind].pixels
    assert expected is not None
    np.testing.assert_array_equal(photo.pixels, expected)


def test_unreadable_files_are_explained(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:20_000])
    cases = {"none.png": "no file", "text.png": "not a PNG", "cut.png": "truncated", "": "is a folder"}
    for name, said in cases.items():
        with pytest.raises(ImageError, match=said):
            read_photo(tmp_path / name, max_pixels=LIMIT)


def test_large_pictures_are_refused_before_decoding(tmp_path: Path) -> None:
    # 900 megapixels: Pillow alone would stop here with an error of its own.
    (tmp_path / "bomb.png").write_bytes(packed_png(30_000, 30_000, 8, 2, [bytes(7)]))
    with pytest.raises(ImageError, match=r"30000x30000 pixels, more than the limit.*--max-pixels"):
        read_photo(tmp_path / "bomb.png", max_pixels=LIMIT)


def test_a_phone_jpeg_with_a_preview_is_its_photo(tmp_path: Path) -> None:
    first = Image.new("RGB", (24, 16), (200, 30, 30))
    first.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (12, 8))])
    pixels = read_photo(tmp_path / "phone.jpg", max_pixels=LIMIT).pixels
    assert pixels.shape == (16, 24, 3)
    assert pixels[..., 0].min() > 190


def test_a_format_that_cannot_hold_the_picture_is_refused(tmp_path: Path) -> None:
    wide = Photo(pixels=np.zeros((1, 16_384, 3), np.uint8))
    with pytest.raises(OutputError, match=r"16383 pixels a side.*\.png"):
        write_photo(wide, tmp_path / "wide.webp")
    with pytest.raises(OutputError, match=r"ending in \.png"):
        write_photo(wide, tmp_path / "wide.psd")
    assert list(tmp_path.iterdir()) == []
