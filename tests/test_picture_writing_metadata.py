"""Writing pictures: what comes back of their metadata."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tifffile
from PIL import Image

from efdn.errors import OutputError
from efdn.pictures.picture import Color, Metadata
from tests.picture_writing_samples import (
    ARTIST,
    ENDINGS,
    EXIF_IFD,
    EXPOSURE_TIME,
    GPS_IFD,
    LATITUDE,
    MAKER_NOTE,
    MODEL,
    RGB,
    XMP,
    big_endian_exif,
    exif,
    full_metadata,
    pixels_of,
    rgb_profile,
    write,
)


@pytest.fixture(params=ENDINGS)
def with_everything(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A picture with one of everything, in each format, opened by Pillow."""
    path = tmp_path / f"picture{request.param}"
    write(path, pixels_of(RGB), RGB, full_metadata())
    with Image.open(path) as image:
        image.load()
        yield image


def test_the_profile_is_kept(with_everything: Image.Image) -> None:
    expected = None if with_everything.format == "BMP" else rgb_profile()
    assert with_everything.info.get("icc_profile") == expected


def test_exif_is_kept_with_its_directories(with_everything: Image.Image) -> None:
    if with_everything.format == "BMP":
        return
    found = with_everything.getexif()
    assert (found[ARTIST], found[MODEL]) == ("Ada", "Model of some length")
    assert float(found.get_ifd(EXIF_IFD)[EXPOSURE_TIME]) == 1 / 125
    assert found.get_ifd(EXIF_IFD)[MAKER_NOTE] == b"secret" * 5
    assert [float(part) for part in found.get_ifd(GPS_IFD)[LATITUDE]] == [52, 31, 12.3]


def test_xmp_is_kept(with_everything: Image.Image) -> None:
    if with_everything.format != "BMP":
        assert with_everything.info["xmp"] == XMP


def test_the_resolution_is_kept(with_everything: Image.Image) -> None:
    if with_everything.format in ("WEBP", "AVIF"):
        found = with_everything.getexif()
        assert (float(found[282]), float(found[283]), found[296]) == (300, 150, 2)
    else:
        # Dots a metre are whole numbers: half of one is an eightieth of a dot an inch.
        assert with_everything.info["dpi"] == pytest.approx((300, 150), abs=0.013)


def test_text_gamma_and_comments_are_kept(with_everything: Image.Image) -> None:
    if with_everything.format == "PNG":
        assert with_everything.info["gamma"] == 0.45455
        assert with_everything.info["Title"] == "A title"
        assert with_everything.info["Comment"] == "a comment"
    elif with_everything.format == "JPEG":
        assert with_everything.info["comment"] == b"a comment"


@pytest.mark.parametrize("ending", [".webp", ".avif"])
@pytest.mark.parametrize("content", [None, big_endian_exif(), exif()])
def test_a_resolution_without_a_place_of_its_own_goes_into_exif(ending: str, content: bytes | None) -> None:
    path = Path("picture" + ending)
    write(path, pixels_of(RGB), RGB, Metadata(exif=content, dpi=(72.5, 300)))
    with Image.open(path) as image:
        found = image.getexif()
        assert (float(found[282]), float(found[283]), found[296]) == (72.5, 300, 2)
        if content is not None:
            assert float(found.get_ifd(EXIF_IFD)[EXPOSURE_TIME]) in (1 / 125, 1 / 250)


def test_exif_of_the_other_byte_order_is_embedded_in_tiff() -> None:
    write(Path("picture.tif"), pixels_of(RGB), RGB, Metadata(exif=big_endian_exif()))
    with Image.open("picture.tif") as image:
        assert image.getexif()[MODEL] == "Canon"
        assert float(image.getexif().get_ifd(EXIF_IFD)[EXPOSURE_TIME]) == 1 / 250
    with tifffile.TiffFile("picture.tif") as file:
        assert file.pages.first.tags["ExifTag"].value["ExposureTime"] == (1, 250)


@pytest.mark.parametrize(("comment", "text"), [("día".encode(), "día"), (b"d\xeda", "día"), (b"a\0b", "ab")])
def test_a_jpegs_comment_is_a_pngs_text(comment: bytes, text: str) -> None:
    write(Path("picture.png"), pixels_of(RGB), RGB, Metadata(comment=comment))
    with Image.open("picture.png") as image:
        image.load()
        assert image.info["Comment"] == text


def test_of_a_profile_and_srgb_a_png_gets_the_profile() -> None:
    chunks = ((b"sRGB", b"\0"),)
    for profile in (None, rgb_profile()):
        write(Path("picture.png"), pixels_of(RGB), RGB, Metadata(icc_profile=profile, png_chunks=chunks))
        content = Path("picture.png").read_bytes()
        assert (b"sRGB" in content, b"iCCP" in content) == (profile is None, profile is not None)


def test_what_a_jpeg_has_no_room_for_is_left_out_and_the_picture_written() -> None:
    metadata = Metadata(xmp=b"x" * 70_000, comment=b"y" * 70_000, dpi=(1e6, 1e6))
    write(Path("picture.jpg"), pixels_of(RGB), RGB, metadata)
    with Image.open("picture.jpg") as image:
        assert not {"xmp", "comment", "dpi"} & set(image.info)


def test_a_profile_of_gray_stays_out_of_a_file_without_gray() -> None:
    layout = replace(RGB, color=Color.GRAY)
    profile = bytes(16) + b"GRAY" + bytes(108)
    write(Path("picture.webp"), pixels_of(layout), layout, Metadata(icc_profile=profile))
    with Image.open("picture.webp") as image:
        assert "icc_profile" not in image.info


def test_broken_exif_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"expected EXIF as a TIFF structure.*leave it out"):
        write(tmp_path / "picture.png", pixels_of(RGB), RGB, Metadata(exif=b"rubbish"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dpi", [(0.0, 72.0), (72.0, -1.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_a_resolution_that_is_none_is_refused(tmp_path: Path, dpi: tuple[float, float]) -> None:
    with pytest.raises(OutputError, match="resolution above 0"):
        write(tmp_path / "picture.png", pixels_of(RGB), RGB, Metadata(dpi=dpi))
    assert list(tmp_path.iterdir()) == []


def test_exif_made_to_fill_the_memory_does_not() -> None:
    count, size = 1000, 100_000
    entries = b"".join(struct.pack("<HHII", 40_000 + index, 7, size, 12_020) for index in range(count))
    hostile = b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4)
    hostile += bytes(12_020 + size - len(hostile))
    write(Path("picture.tif"), pixels_of(RGB), RGB, Metadata(exif=hostile))
    assert Path("picture.tif").stat().st_size < 5 * size
