"""TIFF files of one or more pages, of 1 to 16 bits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from efdn.errors import ImageError
from efdn.pictures.metadata import sound
from efdn.pictures.picture import Metadata
from efdn.pictures.stored import Raster, Shown, Source, Stored
from efdn.pictures.tiff.directories import count_directories
from efdn.pictures.tiff.exif import read_tiff_exif
from efdn.pictures.tiff.kind import kind_of_page
from efdn.pictures.tiff.samples import decode_page

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MOST_PAGES = 10_000

REDUCED, MASK = 1, 4
"""Bits of a page's kind: a preview of another page, or its mask."""

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
XMP, ICC_PROFILE, SUB_IFDS, DNG_VERSION = 700, 34675, 330, 50706
INCH, CENTIMETRE = 2, 3

_SILENT = logging.NullHandler()


def open_tiff(source: Source) -> Stored:
    """Reads everything but the pixels. The file is left open for them.

    Raises:
        ImageError: broken, too large, or of a kind that is not read.
    """
    from tifffile import TiffFile

    # Or what it makes of damaged files goes to stderr; an application's own handlers still get it.
    logging.getLogger("tifffile").addHandler(_SILENT)
    source.file.seek(0)
    tiff = TiffFile(source.file, _multifile=False, is_lsm=False, is_scanimage=False, is_ndpi=False)
    pages = _pictures(source, tiff)
    kind = kind_of_page(source, pages[0])
    raw, warnings = _metadata(source, pages[0])
    metadata, more = sound(raw, source)
    left_out = (source.warning(kind.left_out),) if kind.left_out else ()

    def load() -> Raster:
        return decode_page(pages[0], kind)

    return Stored(
        format="TIFF",
        kind=kind.words,
        layout=kind.layout,
        bits=kind.bits,
        load=load,
        play=(lambda: _all_pages(source, pages)) if len(pages) > 1 else None,
        metadata=metadata,
        orientation=_orientation(pages[0]),
        frames=len(pages),
        warnings=(*warnings, *more, *left_out),
    )


def _pictures(source: Source, tiff: TiffFile) -> list[TiffPage]:
    """The pages that are pictures of their own, rather than previews or masks."""
    from tifffile import TiffPage

    count = count_directories(source.file, MOST_PAGES)
    if count > MOST_PAGES:
        raise ImageError(f"{source.path} has more than {MOST_PAGES} pages: expected fewer; split it")
    pages = [page for page in (tiff.pages[number] for number in range(count)) if isinstance(page, TiffPage)]
    if not pages:
        raise ValueError("there is no page in it")
    whole = [page for page in pages if not page.subfiletype & (REDUCED | MASK)]
    if DNG_VERSION in pages[0].tags or (pages[0] not in whole and SUB_IFDS in pages[0].tags):
        raise source.refused("a camera's raw picture", "develop it to a 16-bit TIFF")
    return whole or pages[:1]


def _all_pages(source: Source, pages: list[TiffPage]) -> Iterator[Shown]:
    layout = kind_of_page(source, pages[0]).layout
    for page in pages:
        kind = kind_of_page(source, page)
        if kind.layout != layout:
            raise ImageError(
                f"{source.path} has pages of different sizes or kinds ({layout} and {kind.layout}): "
                "expected all alike; split it"
            )
        yield decode_page(page, kind), 0.0


def _metadata(source: Source, page: TiffPage) -> tuple[Metadata, tuple[str, ...]]:
    profile, xmp = (page.tags.valueof(tag) for tag in (ICC_PROFILE, XMP))
    exif: bytes | None = None
    warnings: tuple[str, ...] = ()
    try:
        exif = read_tiff_exif(source.file, page.offset)
    # It is gathered from all over the file; pixels can be sound where that is not.
    except (ValueError, ArithmeticError, LookupError, OSError):
        warnings = (source.warning("its EXIF data is broken and was left out"),)
    return Metadata(icc_profile=_bytes(profile), exif=exif, xmp=_bytes(xmp), dpi=_dpi(page)), warnings


def _bytes(value: object) -> bytes | None:
    """A tag's value, which comes as text where its type is wrong."""
    if isinstance(value, bytes):
        return value or None
    return value.encode() or None if isinstance(value, str) else None


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    unit = page.tags.valueof(RESOLUTION_UNIT, INCH)
    inch = {INCH: 1.0, CENTIMETRE: 2.54}.get(int(unit))
    if inch is None:
        return None
    with suppress(TypeError, ValueError, ZeroDivisionError):
        (x, x_of), (y, y_of) = (page.tags.valueof(tag) for tag in (X_RESOLUTION, Y_RESOLUTION))
        return round(x / x_of * inch, 2), round(y / y_of * inch, 2)
    return None


def _orientation(page: TiffPage) -> int:
    value = page.tags.valueof(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
