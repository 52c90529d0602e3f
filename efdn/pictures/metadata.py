"""What a picture carries besides its pixels, kept true when the picture is turned or enlarged.

What reads EXIF and XMP is imported for pictures that have them: most have neither, and commands are to start quickly.
"""

from __future__ import annotations

from dataclasses import replace

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
    if dpi is not None:
        dpi = (dpi[0] * factors[0], dpi[1] * factors[1])
    if exif is not None:
        from efdn.pictures import exif as exif_data

        exif = exif_data.without_prefix(exif)
        if exif is not None:
            exif = exif_data.enlarged(exif, factors=factors, width=width, height=height)
    if xmp is not None:
        from efdn.pictures import xmp as xmp_data

        xmp = xmp_data.enlarged(xmp, factors=factors, width=width, height=height)
    return replace(metadata, dpi=dpi, exif=exif, xmp=xmp)


def upright(metadata: Metadata, orientation: int) -> Metadata:
    """The metadata of a picture that was turned as `orientation` says."""
    swapped = orientation > 4
    dpi, exif, xmp = metadata.dpi, metadata.exif, metadata.xmp
    if dpi is not None and swapped:
        dpi = (dpi[1], dpi[0])
    if exif is not None:
        from efdn.pictures import exif as exif_data

        exif = exif_data.upright(exif, swapped=swapped)
    if xmp is not None:
        from efdn.pictures import xmp as xmp_data

        xmp = xmp_data.upright(xmp)
    return replace(metadata, dpi=dpi, exif=exif, xmp=xmp)


def sound(metadata: Metadata, source: Source) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata without what is broken, the DPI taken from EXIF where the format says none, and warnings of that."""
    warnings: list[str] = []
    dpi, exif, xmp = metadata.dpi, metadata.exif, metadata.xmp
    if dpi is not None and not all(0 < value < 1e9 for value in dpi):
        dpi = None
    if exif is not None:
        from efdn.pictures import exif as exif_data

        exif = exif_data.without_prefix(exif)
        if exif is None:
            warnings.append(source.warning("its EXIF data is broken and was left out"))
        elif dpi is None:
            dpi = exif_data.dpi_of(exif)
    if xmp is not None:
        from efdn.pictures import xmp as xmp_data

        xmp = xmp_data.as_utf8(xmp) if len(xmp) <= LONGEST_XMP else None
        if xmp is None:
            warnings.append(source.warning("its XMP data is broken and was left out"))
    return replace(metadata, exif=exif, xmp=xmp, dpi=dpi), tuple(warnings)


def orientation_of(metadata: Metadata) -> int:
    """EXIF's orientation, 1 to 8; of metadata that is sound."""
    if metadata.exif is None:
        return 1
    from efdn.pictures import exif as exif_data

    return exif_data.orientation_of(metadata.exif)
