"""8-bit RGB pictures, as benchmarks and checks take them; pictures of all kinds are read in `efdn.pictures`.

What would be lost (alpha, 16 bits, palettes, CMYK, further frames) is refused.
A colour profile is carried along, and an orientation tag is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ImageError

if TYPE_CHECKING:
    from efdn.pictures.stored import Stored


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A picture in memory.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        icc_profile: its colour profile, if it came with one.
    """

    pixels: NDArray[np.uint8]
    icc_profile: bytes | None = None


def read_photo(path: Path, *, max_pixels: int) -> Photo:
    """Reads an 8-bit RGB picture; a gray one becomes RGB, without its profile, which is of another kind.

    Args:
        path: of any format that is read, told by its content.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        ImageError: missing, broken, too large, or of a kind that would lose something.
    """
    from efdn.pictures.opening import opened
    from efdn.pictures.picture import Color
    from efdn.pictures.reading import as_picture

    with opened(path, max_pixels=max_pixels) as stored:
        _refuse_what_would_be_lost(path, stored)
        picture = as_picture(stored, stored.load(), stored.warnings)
    if picture.color is Color.GRAY:
        return Photo(pixels=np.ascontiguousarray(picture.pixels.repeat(3, axis=2)))
    return Photo(pixels=picture.pixels, icc_profile=picture.metadata.icc_profile)


def write_photo(photo: Photo, path: Path) -> None:
    """Writes a picture in the format its name says, whole or not at all.

    Raises:
        OutputError: see `efdn.pictures.writing.write_picture`.
    """
    from efdn.pictures.picture import Color, Metadata, Picture
    from efdn.pictures.writing import write_picture

    metadata = Metadata(icc_profile=photo.icc_profile)
    write_picture(path, Picture(pixels=photo.pixels, color=Color.RGB, metadata=metadata))


def _refuse_what_would_be_lost(path: Path, stored: Stored) -> None:
    layout = stored.layout
    if stored.frames > 1:
        what = f"{'an animation' if stored.moving else 'pages'} of {stored.frames} pictures"
    elif stored.bits > 8:
        what = f"{stored.bits} bits a channel"
    elif "palette" in stored.kind:
        what = "a palette"
    elif layout.alpha:
        what = "a transparent colour" if "transparent colour" in stored.kind else "an alpha channel"
    elif layout.color.value == "CMYK":
        what = "CMYK colours"
    else:
        return
    raise ImageError(f"{path} has {what}, which would be lost here: convert it to plain 8-bit RGB")
