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

from efdn.errors import ImageError, OutputError
from efdn.files import check_target, staged

if TYPE_CHECKING:
    from efdn.pictures.stored import Stored

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Format written for each file name ending."""

LONGEST_SIDE = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}
"""In pixels; beyond it the format cannot hold the picture."""

SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "PNG": {"compress_level": 6},
    "JPEG": {"quality": 95, "subsampling": "4:4:4", "optimize": True},
    # Lossy WebP halves the resolution of colour, whatever its quality.
    "WEBP": {"lossless": True, "quality": 60, "method": 4},
}


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
        OutputError: see `check_photo_target`.
    """
    from PIL import Image

    height, width = photo.pixels.shape[:2]
    kind = check_photo_target(path, width, height)
    options = dict(SAVE_OPTIONS[kind])
    if photo.icc_profile is not None:
        options["icc_profile"] = photo.icc_profile
    with staged(path) as temporary:
        Image.fromarray(photo.pixels).save(temporary, format=kind, **options)


def check_photo_target(path: Path, width: int, height: int) -> str:
    """The format that `path` asks for, once it is known to hold such a picture.

    Raises:
        OutputError: unknown ending, a side too long for the format, or a target that cannot be written.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(f"cannot write {path}: expected a name ending in {', '.join(FORMATS)}")
    if max(width, height) > LONGEST_SIDE[kind]:
        raise OutputError(
            f"cannot write {path}: {kind} holds {LONGEST_SIDE[kind]} pixels a side, "
            f"the picture has {width}x{height}; choose a .png name"
        )
    check_target(path)
    return kind


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
