"""Pictures of every kind, read at their full depth and upright, with all that came with them."""

from __future__ import annotations

from pathlib import Path

from efdn.pictures.header import header_of
from efdn.pictures.metadata import upright
from efdn.pictures.opening import opened
from efdn.pictures.orientation import turned_upright
from efdn.pictures.picture import Picture
from efdn.pictures.stored import Raster, Stored


def read_picture(path: Path, *, max_pixels: int) -> Picture:
    """Reads a picture; of a file with several, the first, with a warning.

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF, told by its content.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        ImageError: missing, no picture, broken, of a kind that is not read, or too large.
    """
    with opened(path, max_pixels=max_pixels) as stored:
        return as_picture(stored, stored.load(), (*stored.warnings, *_several(path, stored)))


def as_picture(stored: Stored, raster: Raster, warnings: tuple[str, ...]) -> Picture:
    """A decoded raster, turned upright and put together with what came with it."""
    layout = stored.layout
    shape, dtype = (layout.height, layout.width, layout.color.channels), raster.pixels.dtype
    if raster.pixels.shape != shape or dtype != layout.dtype or (raster.alpha is not None) != layout.alpha:
        raise ValueError(f"it announces {layout} and holds {raster.pixels.shape} of {dtype}")
    alpha = None if raster.alpha is None else turned_upright(raster.alpha, stored.orientation)
    return Picture(
        pixels=turned_upright(raster.pixels, stored.orientation),
        alpha=alpha,
        color=stored.layout.color,
        header=header_of(stored),
        metadata=upright(stored.metadata, stored.orientation),
        warnings=warnings,
    )


def _several(path: Path, stored: Stored) -> tuple[str, ...]:
    if stored.frames < 2:
        return ()
    what = f"is an animation of {stored.frames} frames" if stored.moving else f"has {stored.frames} pages"
    return (f"{path} {what}: only the first was taken, --frames all takes them all",)
