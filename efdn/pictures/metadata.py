"""What a picture carries besides its pixels, kept true when the picture is turned or enlarged."""

from __future__ import annotations

from dataclasses import replace

from efdn.pictures import exif as exif_data
from efdn.pictures import xmp as xmp_data
from efdn.pictures.picture import Metadata
from efdn.pictures.stored import Source

LONGEST_XMP = 16 << 20
"""In bytes; a longer one is left out."""


def enlarged(metadata: Metadata, *, factors: tuple[float, float], width: int, height: int) -> Metadata:
    """The metadata of a picture that became `factors` times as large.

    Args:
        metadata: of the picture as it was read.
        factors: new width over old width, new height over old height; the resolution along x and y grows by them, so
            that the size in inches stays.
        width: the new one, in pixels.
        height: the new one, in pixels.
    """
    dpi, exif, xmp = metadata.dpi, metadata.exif, metadata.xmp
    if exif is not None:
        exif = exif_data.without_prefix(exif)
    return replace(
        metadata,
        dpi=None if dpi is None else (dpi[0] * factors[0], dpi[1] * factors[1]),
        exif=None if exif is None else exif_data.enlarged(exif, factors=factors, width=width, height=height),
        xmp=None if xmp is None else xmp_data.enlarged(xmp, factors=factors, width=width, height=height),
    )


def upright(metadata: Metadata, orientation: int) -> Metadata:
    """The metadata of a picture that was turned as `orientation` says."""
    swapped = orientation > 4
    dpi, exif, xmp = metadata.dpi, metadata.exif, metadata.xmp
    return replace(
        metadata,
        dpi=(dpi[1], dpi[0]) if dpi is not None and swapped else dpi,
        exif=None if exif is None else exif_data.upright(exif, swapped=swapped),
        xmp=None if xmp is None else xmp_data.upright(xmp),
    )


def sound(metadata: Metadata, source: Source) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata without what is broken, the DPI taken from EXIF where the format says none, and warnings of that."""
    warnings: list[str] = []
    exif, xmp = metadata.exif, metadata.xmp
    if exif is not None:
        exif = exif_data.without_prefix(exif)
        if exif is None:
            warnings.append(source.warning("its EXIF data is broken and was left out"))
    if xmp is not None:
        xmp = xmp_data.as_utf8(xmp) if len(xmp) <= LONGEST_XMP else None
        if xmp is None:
            warnings.append(source.warning("its XMP data is broken and was left out"))
    dpi = metadata.dpi
    if dpi is not None and not all(0 < value < 1e9 for value in dpi):
        dpi = None
    if dpi is None and exif is not None:
        dpi = exif_data.dpi_of(exif)
    return replace(metadata, exif=exif, xmp=xmp, dpi=dpi), tuple(warnings)


def orientation_of(metadata: Metadata) -> int:
    """EXIF's orientation, 1 to 8; of metadata that is sound."""
    return 1 if metadata.exif is None else exif_data.orientation_of(metadata.exif)
