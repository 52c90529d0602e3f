"""The frames of animations and the pages of TIFFs, one in memory at a time."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from efdn.pictures.header import read_header
from efdn.pictures.opening import opened
from efdn.pictures.picture import Picture
from efdn.pictures.reading import as_picture


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A picture of several in a file.

    Attributes:
        picture: as it is shown, whole.
        duration_ms: how long it is shown; 0 for pages and still pictures.
    """

    picture: Picture
    duration_ms: float


def read_frames(path: Path, *, max_pixels: int) -> Generator[Frame, None, None]:
    """Reads frame after frame; a still picture is one. The file stays open until the last, or until it is closed.

    Args:
        path: as `read_picture` takes it.
        max_pixels: of a frame; larger ones are refused before they are decoded.

    Raises:
        ImageError: see `read_picture`; on the frame concerned.
    """
    with opened(path, max_pixels=max_pixels) as stored:
        shown = stored.play() if stored.play is not None else iter([(stored.load(), 0.0)])
        warnings = stored.warnings
        for raster, duration_ms in shown:
            yield Frame(picture=as_picture(stored, raster, warnings), duration_ms=duration_ms)
            warnings = ()


def read_loops(path: Path, *, max_pixels: int) -> int:
    """How often an animation is played, 0 if forever; 1 for all else.

    Raises:
        ImageError: see `read_picture`.
    """
    return read_header(path, max_pixels=max_pixels).loops
