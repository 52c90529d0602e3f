"""Reading and writing pictures: 8-bit RGB in PNG, JPEG and WebP.

What would be lost (alpha, 16 bits, palettes, gray, CMYK, animation) is refused.
A colour profile is carried along, and an orientation tag is applied.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ImageError, OutputError
from efdn.files import check_target, reason_of, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

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

READ_FORMATS = ("PNG", "JPEG", "WEBP")

PHONE_JPEG = "MPO"
"""What Pillow calls a JPEG with a preview behind it, as many phones write; the first picture is the photo."""

MODE_NAMES = {
    "1": "1-bit",
    "L": "gray",
    "LA": "gray with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGBA": "an alpha channel",
    "CMYK": "CMYK",
    "I": "32-bit",
    "F": "floating-point",
}

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_BIT_DEPTH_AT = 24


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
    """Reads an 8-bit RGB picture.

    Args:
        path: PNG, JPEG or WebP, told by its content.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        ImageError: missing, broken, too large, or of a kind that would lose something.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if path.is_dir():
        raise ImageError(f"{path} is a folder: expected one picture (PNG, JPEG or WebP)")
    try:
        with _own_size_limit(), Image.open(path, formats=READ_FORMATS) as image:
            _refuse_what_would_be_lost(path, image, max_pixels)
            image.load()
            profile = image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(image)
            return Photo(pixels=np.array(upright, dtype=np.uint8), icc_profile=profile or None)
    except FileNotFoundError:
        raise ImageError(f"no file {path}: expected a picture (PNG, JPEG or WebP)") from None
    except PermissionError as error:
        raise ImageError(f"cannot read {path}: {reason_of(error)}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a PNG, JPEG or WebP picture, whatever its name says") from error
    except (ImageError, MemoryError):
        raise
    # Pillow's decoders raise many kinds on broken data, SyntaxError and struct.error among them.
    except Exception as error:
        raise ImageError(f"{path} is a broken or truncated picture ({_one_line(error)}): get a whole copy") from error


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


def _refuse_what_would_be_lost(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{path} has {width}x{height} pixels, more than the limit of {max_pixels}: "
            "a picture is upscaled whole and takes about 9 GB of memory a megapixel; raise --max-pixels or crop it"
        )
    if _png_bit_depth(path) == 16:
        raise ImageError(f"{path} has 16 bits a channel, only 8 are supported so far: convert it to 8-bit RGB")
    if image.mode != "RGB":
        kind = "16-bit gray" if image.mode.startswith("I;16") else MODE_NAMES.get(image.mode, image.mode)
        raise ImageError(f"{path} has {kind}, only 8-bit RGB is supported so far: convert it to RGB")
    if "transparency" in image.info:
        raise ImageError(f"{path} has a transparent colour, which would be lost: convert it to plain RGB")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != PHONE_JPEG:
        raise ImageError(f"{path} is an animation of {frames} frames: expected a single picture")


def _png_bit_depth(path: Path) -> int | None:
    """Bits a channel from a PNG's header: Pillow reduces 16-bit RGB to 8 without a word."""
    with path.open("rb") as file:
        start = file.read(PNG_BIT_DEPTH_AT + 1)
    return start[PNG_BIT_DEPTH_AT] if start.startswith(PNG_SIGNATURE) and len(start) > PNG_BIT_DEPTH_AT else None


@contextmanager
def _own_size_limit() -> Iterator[None]:
    """Lifts Pillow's own limit, a warning and then an error; `max_pixels` is checked before decoding."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
