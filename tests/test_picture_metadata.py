"""What comes with a picture: read, kept true when it is turned or enlarged, and left out where it is broken."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from efdn.pictures import exif as exif_data
from efdn.pictures.metadata import enlarged
from efdn.pictures.picture import Metadata
from efdn.pictures.reading import read_picture
from tests import picture_parts as parts
from tests import picture_samples as samples
from tests import picture_samples_png as png
from tests.picture_parts import HEIGHT, WIDTH, XMP
from tests.picture_samples import KINDS

LIMIT = 10_000


def metadata_of(path: Path) -> Metadata:
    return read_picture(path, max_pixels=LIMIT).metadata


def png_with(tmp_path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(png.insert_png_chunks(KINDS["png-rgb8"](tmp_path).read_bytes(), *chunks))
    return path


def tags_of(exif: bytes) -> tuple[Image.Exif, dict[int, object]]:
    """The main and the Exif IFD as Pillow reads them."""
    loaded = Image.Exif()
    loaded.load(exif)
    return loaded, dict(loaded.get_ifd(exif_data.EXIF_IFD))


def test_jpeg_keeps_profile_exif_xmp_dpi_and_comment(tmp_path: Path) -> None:
    found = metadata_of(KINDS["jpeg-exif-xmp-icc-dpi"](tmp_path))
    assert found.icc_profile == parts.icc_profile()
    assert found.exif == parts.exif(dpi=300)
    assert found.xmp == XMP
    assert found.dpi == (300, 300)
    assert found.comment == b"a comment"


def test_webp_keeps_profile_exif_and_xmp(tmp_path: Path) -> None:
    found = metadata_of(KINDS["webp-lossless"](tmp_path))
    assert (found.icc_profile, found.exif, found.xmp) == (parts.icc_profile(), parts.exif(), XMP)


def test_avif_keeps_profile_exif_and_xmp_upright(tmp_path: Path) -> None:
    found = metadata_of(KINDS["avif-rotated-exif-xmp-icc"](tmp_path))
    assert (found.icc_profile, found.xmp, found.dpi) == (parts.icc_profile(), XMP, (300, 300))
    assert found.exif is not None
    main, details = tags_of(found.exif)
    assert main.get(0x0112, 1) == 1
    assert details[0x9003] == "2024:01:02 03:04:05"


def test_tiff_keeps_profile_xmp_dpi_and_the_tags_that_exif_knows(tmp_path: Path) -> None:
    found = metadata_of(KINDS["tiff-exif-xmp-icc-dpi"](tmp_path))
    assert (found.icc_profile, found.xmp, found.dpi) == (parts.icc_profile(), XMP, (300, 300))
    assert found.exif is not None
    main, _ = tags_of(found.exif)
    assert (main[0x010F], main[0x0131]) == ("Maker", "a program")
    assert set(main).isdisjoint({256, 257, 258, 259, 262, 273, 274, 277, 279})


@pytest.mark.parametrize("big_endian", [False, True])
def test_tiff_keeps_its_exif_and_gps_directories(tmp_path: Path, big_endian: bool) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"MM" if big_endian else b"II")
    info[0x8769] = {0x9003: "2024:01:02 03:04:05", 0x829A: TiffImagePlugin.IFDRational(1, 60)}
    info[0x8825] = {1: "N"}
    Image.fromarray(parts.gradient(3)).save(tmp_path / "photo.tif", tiffinfo=info)
    found = metadata_of(tmp_path / "photo.tif").exif
    assert found is not None
    main, details = tags_of(found)
    assert (details[0x9003], details[0x829A]) == ("2024:01:02 03:04:05", 1 / 60)
    assert main.get_ifd(exif_data.GPS_IFD)[1] == "N"


def test_png_keeps_its_chunks_raw_and_in_order(tmp_path: Path) -> None:
    gamma, text = (b"gAMA", struct.pack(">I", 45455)), (b"tEXt", b"Title\0a picture")
    packed = (b"zTXt", b"Note\0\0" + zlib.compress(b"long"))
    primaries, depth = (b"cHRM", struct.pack(">8I", *range(31270, 31278))), (b"cICP", bytes((9, 16, 0, 1)))
    xmp = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    other = (b"iTXt", b"Title\0\0\0de\0Titel\0" + b"ein Bild")
    profile = (b"iCCP", b"ICC\0\0" + zlib.compress(parts.icc_profile()))
    path = png_with(
        tmp_path,
        gamma,
        text,
        packed,
        primaries,
        depth,
        xmp,
        other,
        profile,
        (b"eXIf", parts.exif()),
        (b"bKGD", b"\0\0"),
    )
    found = metadata_of(path)
    assert found.png_chunks == (gamma, text, packed, primaries, depth, other)
    assert (found.xmp, found.icc_profile, found.exif) == (XMP, parts.icc_profile(), parts.exif())


def test_a_compressed_xmp_packet_is_read(tmp_path: Path) -> None:
    path = png_with(tmp_path, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)))
    assert metadata_of(path).xmp == XMP


def test_chunks_behind_the_pixels_count_too(tmp_path: Path) -> None:
    content = KINDS["png-rgb8"](tmp_path).read_bytes()
    late = png.png_chunk(b"eXIf", parts.exif(1, dpi=144)) + content[-12:]
    (tmp_path / "late.png").write_bytes(content[:-12] + late)
    assert metadata_of(tmp_path / "late.png").dpi == (144, 144)


def test_damaged_chunks_are_left_out_with_a_warning(tmp_path: Path) -> None:
    path = png_with(tmp_path, (b"tEXt", b"Title\0a picture"), (b"iCCP", b"ICC\0\0no zlib"))
    content = path.read_bytes().replace(b"a picture", b"a lecture")
    path.write_bytes(content)
    picture = read_picture(path, max_pixels=LIMIT)
    assert picture.metadata == Metadata()
    assert "its chunks tEXt, iCCP are damaged or too long, and were left out" in picture.warnings[0]


@pytest.mark.parametrize("kind", [b"iCCP", b"iTXt"])
def test_what_inflates_without_end_is_left_out(tmp_path: Path, kind: bytes) -> None:
    bomb = zlib.compress(bytes(100 << 20))
    before = b"ICC\0\0" if kind == b"iCCP" else b"XML:com.adobe.xmp\0\1\0\0\0"
    picture = read_picture(png_with(tmp_path, (kind, before + bomb)), max_pixels=LIMIT)
    assert picture.metadata == Metadata()
    assert kind.decode() in picture.warnings[0]


@pytest.mark.parametrize(
    ("unit", "per", "expected"), [(1, (300, 150), (300, 150)), (2, (100, 100), (254, 254)), (0, (1, 1), None)]
)
def test_jfif_density_is_dpi_where_it_has_a_unit(
    tmp_path: Path, unit: int, per: tuple[int, int], expected: tuple[float, float] | None
) -> None:
    content = bytearray(KINDS["jpeg-rgb"](tmp_path).read_bytes())
    struct.pack_into(">BHH", content, 13, unit, *per)
    (tmp_path / "density.jpg").write_bytes(content)
    assert metadata_of(tmp_path / "density.jpg").dpi == expected


def test_dpi_of_png_bmp_and_tiff(tmp_path: Path) -> None:
    assert metadata_of(png_with(tmp_path, (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)))).dpi == (300.0, 150.01)
    assert metadata_of(png_with(tmp_path, (b"pHYs", struct.pack(">IIB", 1, 1, 0)))).dpi is None
    assert metadata_of(KINDS["bmp-alpha"](tmp_path)).dpi == (300.0, 300.0)
    metric = tmp_path / "metric.tif"
    tifffile.imwrite(metric, parts.gradient(3), photometric="rgb", resolution=(100, 50), resolutionunit=3)
    assert metadata_of(metric).dpi == (254, 127)


def test_dpi_that_no_file_says_is_not_invented(tmp_path: Path) -> None:
    for kind in ("png-rgb8", "jpeg-rgb", "webp-lossy", "tiff-rgb8", "avif", "gif"):
        assert metadata_of(KINDS[kind](tmp_path)).dpi is None


def test_a_bmp_keeps_its_profile(tmp_path: Path) -> None:
    pixels = np.dstack([parts.gradient(3), parts.opacity()])
    (tmp_path / "profile.bmp").write_bytes(samples.bmp_with_alpha(pixels, parts.icc_profile()))
    assert metadata_of(tmp_path / "profile.bmp").icc_profile == parts.icc_profile()


def test_a_profile_in_several_segments_is_put_together(tmp_path: Path) -> None:
    profile = np.random.default_rng(0).bytes(150_000)
    Image.fromarray(parts.gradient(3)).save(tmp_path / "long.jpg", icc_profile=profile)
    assert metadata_of(tmp_path / "long.jpg").icc_profile == profile


def test_unusual_colours_of_avif_become_a_chunk_that_says_them(tmp_path: Path) -> None:
    content = bytearray(KINDS["avif"](tmp_path).read_bytes())
    at = content.index(b"nclx") + 4
    struct.pack_into(">HH", content, at, 9, 16)
    (tmp_path / "hdr.avif").write_bytes(content)
    assert metadata_of(tmp_path / "hdr.avif").png_chunks == ((b"cICP", bytes((9, 16, 0, 1))),)
    assert metadata_of(KINDS["avif"](tmp_path)).png_chunks == ()


@pytest.mark.parametrize("orientation", [3, 6])
def test_turning_resets_the_tag_in_exif_and_xmp_and_drops_the_thumbnail(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(parts.turned(parts.gradient(3), orientation))
    thumbnail = b"\xff\xd8 thumbnail \xff\xd9"
    exif = parts.exif(orientation, thumbnail=thumbnail)
    xmp = XMP.replace(b'Orientation="1"', b'Orientation="%d"' % orientation)
    assert xmp != XMP
    stored.save(tmp_path / "photo.jpg", exif=b"Exif\0\0" + exif, xmp=xmp)
    found = metadata_of(tmp_path / "photo.jpg")
    assert found.exif is not None
    main, details = tags_of(found.exif)
    assert main[0x0112] == 1
    assert details[0x927C] == bytes(range(200))
    assert not main.get_ifd(1)
    assert thumbnail not in found.exif
    assert found.xmp == XMP


def test_a_turned_picture_swaps_its_two_resolutions(tmp_path: Path) -> None:
    stored = Image.fromarray(parts.turned(parts.gradient(3), 6))
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = 6, 300, 150, 2
    stored.save(tmp_path / "photo.png", exif=exif)
    found = metadata_of(tmp_path / "photo.png")
    assert found.dpi == (150, 300)
    assert found.exif is not None
    main, _ = tags_of(found.exif)
    assert (main[0x011A], main[0x011B]) == (150, 300)


def test_broken_exif_is_left_out_with_a_warning_and_the_picture_is_read(tmp_path: Path) -> None:
    for exif in (b"", b"II*\0", b"nonsense", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"):
        picture = read_picture(png_with(tmp_path, (b"eXIf", exif + b"\0")), max_pixels=LIMIT)
        assert picture.metadata.exif is None
        assert "EXIF data is broken and was left out" in picture.warnings[0]


def test_xmp_in_utf_16_becomes_utf_8(tmp_path: Path) -> None:
    text = XMP.decode().removeprefix("\ufeff")
    Image.fromarray(parts.gradient(3)).save(tmp_path / "wide.webp", xmp=text.encode("utf-16"))
    assert metadata_of(tmp_path / "wide.webp").xmp == text.encode()


def test_enlarged_metadata_keeps_the_size_in_inches(tmp_path: Path) -> None:
    before = metadata_of(KINDS["jpeg-exif-xmp-icc-dpi"](tmp_path))
    after = enlarged(before, factors=(4, 4), width=4 * WIDTH, height=4 * HEIGHT)
    assert after.dpi == (1200, 1200)
    assert after.exif is not None
    assert before.exif is not None
    main, details = tags_of(after.exif)
    assert (main[0x011A], main[0x011B]) == (1200, 1200)
    assert (details[0xA002], details[0xA003]) == (4 * WIDTH, 4 * HEIGHT)
    assert len(after.exif) == len(before.exif)
    assert after.xmp is not None
    assert b'exif:PixelXDimension="92"' in after.xmp
    assert b"<exif:PixelYDimension>68<" in after.xmp
    assert (after.icc_profile, after.comment) == (before.icc_profile, before.comment)


def test_sizes_beyond_16_bits_and_fractions_of_a_factor_are_held() -> None:
    metadata = Metadata(exif=parts.exif(dpi=72), dpi=(72, 72))
    after = enlarged(metadata, factors=(2.5, 2.5), width=70_000, height=80_000)
    assert after.dpi == (180, 180)
    assert after.exif is not None
    main, details = tags_of(after.exif)
    assert (main[0x011A], details[0xA002], details[0xA003]) == (180, 70_000, 80_000)


def test_other_proportions_have_a_resolution_for_each_axis() -> None:
    xmp = b'<rdf tiff:XResolution="100/1" tiff:YResolution="100/1"/>'
    metadata = Metadata(exif=parts.exif(dpi=100), xmp=xmp, dpi=(100, 100))
    after = enlarged(metadata, factors=(2, 1.5), width=100, height=60)
    assert after.dpi == (200, 150)
    assert after.exif is not None
    main, _ = tags_of(after.exif)
    assert (main[0x011A], main[0x011B]) == (200, 150)
    assert after.xmp == b'<rdf tiff:XResolution="200/1" tiff:YResolution="150/1"/>'


def test_short_sizes_in_exif_become_long_ones() -> None:
    for order in "<>":
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
        entry = struct.pack(order + "HHIHH", 0x0100, 3, 1, 640, 0)
        exif = head + struct.pack(order + "H", 1) + entry + bytes(4)
        after = enlarged(Metadata(exif=exif), factors=(200, 200), width=128_000, height=9).exif
        assert after is not None
        assert tags_of(after)[0][0x0100] == 128_000


def test_enlarging_nothing_gives_nothing() -> None:
    assert enlarged(Metadata(), factors=(4, 4), width=1, height=1) == Metadata()


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=12), st.integers(0, 500))
@settings(max_examples=400)
def test_damaged_exif_is_enlarged_and_turned_without_an_error(changes: list[tuple[int, int]], cut: int) -> None:
    exif = bytearray(parts.exif(6, thumbnail=b"\xff\xd8 thumbnail \xff\xd9"))
    for at, value in changes:
        exif[at % len(exif)] = value
    damaged = bytes(exif[: len(exif) - cut % len(exif)])
    after = enlarged(Metadata(exif=damaged, xmp=damaged), factors=(4, 4), width=9, height=9)
    assert after.exif is None or len(after.exif) == len(damaged)
    if after.exif is not None:
        upright = exif_data.upright(after.exif, swapped=True)
        assert exif_data.orientation_of(upright) == 1
        assert len(upright) <= len(damaged)


def test_what_is_read_can_be_written_and_read_again(tmp_path: Path) -> None:
    before = read_picture(KINDS["jpeg-exif-xmp-icc-dpi"](tmp_path), max_pixels=LIMIT)
    buffer = BytesIO()
    assert before.metadata.exif is not None
    image = Image.fromarray(before.pixels)
    image.save(buffer, "WEBP", lossless=True, exif=before.metadata.exif, xmp=before.metadata.xmp)
    (tmp_path / "again.webp").write_bytes(buffer.getvalue())
    again = metadata_of(tmp_path / "again.webp")
    assert (again.exif, again.xmp, again.dpi) == (before.metadata.exif, before.metadata.xmp, before.metadata.dpi)
