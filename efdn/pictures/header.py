"""What a picture file announces, read without decoding it."""

from __future__ import annotations

from pathlib import Path

from efdn.pictures.opening import opened
from efdn.pictures.orientation import upright_layout
from efdn.pictures.picture import Header
from efdn.pictures.stored import Stored


def read_header(path: Path, *, max_pixels: int) -> Header:
    """Reads a picture's header, whatever its name says.

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF.
        max_pixels: larger pictures are refused.

    Raises:
        ImageError: missing, no picture, broken, of a kind that is not read, or too large.
    """
    with opened(path, max_pixels=max_pixels) as stored:
        return header_of(stored)


def header_of(stored: Stored) -> Header:
    """The header of an open picture."""
    return Header(
        format=stored.format,
        kind=stored.kind,
        layout=upright_layout(stored.layout, stored.orientation),
        bits=stored.bits,
        frames=stored.frames,
        moving=stored.moving,
        loops=stored.loops if stored.moving else 1,
    )
