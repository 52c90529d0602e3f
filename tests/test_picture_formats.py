"""What each format holds, and what is said before any work where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import features

from efdn.errors import OutputError
from efdn.pictures.formats import FORMATS, check_fits, default_ending, format_of, held, memory_bytes, unheld
from efdn.pictures.picture import NOTHING, Color, Layout, Metadata
from efdn.pictures.rows import SaveOptions
from tests.picture_writing_samples import full_metadata

RGB = Layout(width=40, height=30, color=Color.RGB)
RGBA = replace(RGB, alpha=True)
DEEP = replace(RGB, bits=16)
CMYK = replace(RGB, color=Color.CMYK)
GRAY = replace(RGB, color=Color.GRAY)
BILEVEL = replace(GRAY, bits=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "PNG"),
        ("a.PNG", "PNG"),
        ("a.jpeg", "JPEG"),
        ("a.b.JPG", "JPEG"),
        ("a.webp", "WEBP"),
        ("a.tiff", "TIFF"),
        ("a.bmp", "BMP"),
        ("a.avif", "AVIF"),
    ],
)
def test_the_ending_says_the_format(name: str, expected: str) -> None:
    assert format_of(Path(name)).name == expected


@pytest.mark.parametrize("name", ["a", "a.heic", "png", ".png"])
def test_unknown_endings_are_explained(name: str) -> None:
    with pytest.raises(OutputError, match=r"expected a name ending in \.png, \.jpg, \.webp, \.tif, \.bmp, \.avif$"):
        format_of(Path(name))


def test_gif_is_only_read() -> None:
    with pytest.raises(OutputError, match=r"GIF is only read.*choose \.webp or \.png"):
        format_of(Path("a.gif"))


def test_avif_is_explained_where_pillow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(features.modules, "avif")
    with pytest.raises(OutputError, match=r"this Pillow has no AVIF; install Pillow 11\.3 or newer"):
        format_of(Path("a.avif"))
    with pytest.raises(OutputError, match=r"choose \.png, \.webp or \.tif, or --background"):
        check_fits(Path("a.jpg"), RGBA)


REFUSED = [
    (".jpg", RGBA, r"JPEG holds no alpha, the picture is 40x30 RGB with alpha, 8 bits; "),
    (".jpg", RGBA, r"choose \.png, \.webp, \.tif or \.avif, or --background to put it on a colour$"),
    (".bmp", RGBA, r"choose \.png, \.webp, \.tif or \.avif, or --background to put it on a colour$"),
    (".webp", DEEP, r"WEBP holds 8 bits a sample.*; choose \.png or \.tif, or --bits 8$"),
    (".jpg", DEEP, r"choose \.png or \.tif, or --bits 8$"),
    (".avif", DEEP, r"choose \.png or \.tif, or --bits 8$"),
    (".bmp", DEEP, r"BMP holds 1 or 8 bits a sample.*; choose \.png or \.tif, or --bits 8$"),
    (".png", CMYK, r"PNG holds no CMYK.*; choose \.jpg or \.tif, or --color rgb$"),
    (".webp", CMYK, r"choose \.jpg or \.tif, or --color rgb$"),
    (".bmp", CMYK, r"choose \.jpg or \.tif, or --color rgb$"),
    (".avif", CMYK, r"choose \.jpg or \.tif, or --color rgb$"),
    (".png", replace(CMYK, alpha=True, bits=16), r"choose \.tif, or --color rgb$"),
    (".jpg", BILEVEL, r"JPEG holds 8 bits a sample.*, 1 bit; choose \.png, \.tif or \.bmp, or --bits 8$"),
    (".webp", BILEVEL, r"choose \.png, \.tif or \.bmp, or --bits 8$"),
    (".avif", BILEVEL, r"choose \.png, \.tif or \.bmp, or --bits 8$"),
    (".png", replace(RGB, bits=1), r"PNG holds 1 bit only for gray without alpha.*; --bits 8$"),
    (
        ".jpg",
        replace(RGB, width=65_501),
        r"JPEG holds 65500 pixels a side.*; choose \.png, \.tif or \.bmp, or a smaller",
    ),
    (".webp", replace(RGB, height=16_384), r"WEBP holds 16383 pixels a side.*40x16384.*; choose \.png, \.jpg,"),
    (".avif", replace(RGB, height=32_769), r"AVIF holds 32768 pixels a side"),
    (".avif", replace(RGB, width=30_000, height=10_000), r"AVIF holds 268435456 pixels.*choose \.png, \.jpg, \.tif or"),
    (
        ".bmp",
        replace(RGB, width=40_000, height=40_000),
        r"BMP holds 4 GB.*; choose \.png, \.jpg or \.tif, or a smaller",
    ),
]


@pytest.mark.parametrize(("ending", "layout", "said"), REFUSED)
def test_what_a_format_cannot_hold_is_said_with_what_can(ending: str, layout: Layout, said: str) -> None:
    with pytest.raises(OutputError, match=said) as caught:
        check_fits(Path("missing") / f"a{ending}", layout)
    assert str(caught.value).startswith("cannot write ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ending", "layout"),
    [
        (".jpg", replace(RGB, width=65_500)),
        (".webp", replace(RGB, height=16_383)),
        (".avif", replace(RGB, height=32_768)),
        (".png", replace(DEEP, width=200_000, height=200_000)),
        (".tif", replace(CMYK, width=200_000, height=200_000)),
        (".webp", replace(GRAY, alpha=True)),
    ],
)
def test_what_just_fits_is_taken(ending: str, layout: Layout) -> None:
    assert ending in check_fits(Path(f"a{ending}"), layout).endings


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
def test_quality_for_a_lossless_format_is_an_error(ending: str) -> None:
    with pytest.raises(OutputError, match=r"lossless and takes no quality; .*\.jpg, \.webp or \.avif"):
        check_fits(Path(f"a{ending}"), RGB, SaveOptions(quality=90))


@pytest.mark.parametrize("ending", [".jpg", ".avif", ".bmp"])
def test_an_effort_for_a_format_without_one_is_an_error(ending: str) -> None:
    with pytest.raises(OutputError, match=r"takes no compression effort; .*\.png, \.webp or \.tif"):
        check_fits(Path(f"a{ending}"), RGB, SaveOptions(compression=3))


@pytest.mark.parametrize("layout", [RGB, RGBA, DEEP, CMYK, GRAY, BILEVEL, replace(CMYK, alpha=True, bits=16)])
def test_the_default_ending_holds_everything(layout: Layout) -> None:
    ending = default_ending(layout)
    assert ending == (".tif" if layout.color is Color.CMYK else ".png")
    assert check_fits(Path(f"a{ending}"), layout).lossless


def test_what_is_lost_of_the_metadata_is_named() -> None:
    metadata = full_metadata()
    lost = {known.name: unheld(known, metadata) for known in FORMATS}
    chunks = "PNG's gAMA, tEXt"
    assert lost == {
        "PNG": (),
        "JPEG": (chunks,),
        "WEBP": ("the comment", chunks),
        "TIFF": ("the comment", chunks),
        "BMP": ("the colour profile", "EXIF", "XMP", "the comment", chunks),
        "AVIF": ("the comment", chunks),
    }
    assert all(unheld(known, NOTHING) == () for known in FORMATS)


def test_what_is_too_long_for_a_jpeg_is_named_and_left_out() -> None:
    jpeg = format_of(Path("a.jpg"))
    fitting = Metadata(exif=bytes(65_527), xmp=bytes(65_504), comment=bytes(65_533), dpi=(65_535, 1))
    assert unheld(jpeg, fitting) == ()
    too_long = Metadata(exif=bytes(65_528), xmp=bytes(65_505), comment=bytes(65_534), dpi=(65_536, 1))
    assert unheld(jpeg, too_long) == ("EXIF", "XMP", "the resolution", "the comment")
    assert held(jpeg, too_long) == NOTHING
    assert held(jpeg, fitting) == fitting


def test_a_profile_of_gray_is_lost_where_gray_is_stored_as_rgb() -> None:
    metadata = Metadata(icc_profile=bytes(16) + b"GRAY")
    assert {known.name for known in FORMATS if unheld(known, metadata)} == {"WEBP", "BMP", "AVIF"}


def test_memory_is_asked_for_only_by_formats_that_do_not_stream() -> None:
    large = replace(RGB, width=1000, height=1000)
    needed = {known.name: memory_bytes(known, large) for known in FORMATS}
    assert needed["PNG"] == needed["TIFF"] == 0
    assert all(needed[name] > 3 * 10**6 for name in ("JPEG", "WEBP", "BMP", "AVIF"))
