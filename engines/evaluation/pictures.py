"""Reading benchmark pictures, and what is checked of them before anything is computed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from efdn.bicubic import downscale, modcrop
from efdn.errors import ImageError
from efdn.images import read_photo
from efdn.metrics import SSIM_WINDOW
from efdn.shapes import Side
from engines.evaluation.pairs import Pair
from engines.whole import Pixels

ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""The EXIF tag, and its values that swap height and width."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What pictures must satisfy.

    Attributes:
        scale: magnification.
        border: HR pixels left out on each side when measuring.
        pad: LR pixels added on each side before the network.
        max_pixels: of an LR picture, its padding included.
    """

    scale: int
    border: int
    pad: int
    max_pixels: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """A picture as its file announces it.

    Attributes:
        side: height and width as it is seen, an orientation tag applied.
        mode: Pillow's name of its kind.
        plain: whether it is gray or a BMP, which pictures to be upscaled may not be, but those to be measured may.
    """

    side: Side
    mode: str
    plain: bool


def check_pair(pair: Pair, checks: Checks) -> Side:
    """Holds a pair to the checks by the headers of its files.

    Returns:
        Height and width of the LR picture.

    Raises:
        ImageError: a file cannot be read, the sizes do not fit, or the picture is too large or too small.
    """
    scale, hr = checks.scale, _side_of(pair.hr)
    lr = (hr[0] // scale, hr[1] // scale) if pair.lr is None else _side_of(pair.lr)
    if pair.lr is not None and (hr[0] // scale, hr[1] // scale) != lr:
        raise ImageError(
            f"{pair.hr} and {pair.lr} are no pair: x{scale} of {_text(lr)} is {_text((scale * lr[0], scale * lr[1]))}, "
            f"the HR picture has {_text(hr)} (height x width); expected LR pictures for x{scale}"
        )
    smallest = SSIM_WINDOW + 2 * checks.border
    if scale * min(lr) < smallest:
        raise ImageError(
            f"{pair.hr} has {_text(hr)} pixels: expected at least {smallest} a side, a window of SSIM inside a "
            f"border of {checks.border}; leave it out or lower --border"
        )
    padded = (lr[0] + 2 * checks.pad, lr[1] + 2 * checks.pad)
    if padded[0] * padded[1] > checks.max_pixels:
        with_padding = f", with its padding {_text(padded)}" if checks.pad else ""
        raise ImageError(
            f"{pair.lr or pair.hr} gives an LR picture of {_text(lr)}{with_padding}, more than the limit of "
            f"{checks.max_pixels} pixels: pictures are upscaled whole and take 2 to 9 GB of memory a megapixel "
            "on the CPU; leave it out or raise --max-pixels"
        )
    return lr


def read_pair(pair: Pair, scale: int) -> tuple[Pixels, Pixels]:
    """Reads a pair that `check_pair` took; LR that is missing is made of HR, cropped to multiples of the scale.

    Returns:
        HR (scale * H, scale * W, 3) and LR (H, W, 3), uint8, RGB.

    Raises:
        ImageError: a file cannot be read or holds what would be lost.
    """
    hr = modcrop(read_rgb(pair.hr), scale)
    return hr, downscale(hr, scale) if pair.lr is None else read_rgb(pair.lr)


def read_rgb(path: Path) -> Pixels:
    """An 8-bit picture as (H, W, 3) uint8; gray ones become RGB, as most evaluation code reads them.

    Raises:
        ImageError: it cannot be read or holds what would be lost.
    """
    header = header_of(path)
    if not header.plain:
        return read_photo(path, max_pixels=header.side[0] * header.side[1]).pixels
    from PIL import Image

    with _telling(path), Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def header_of(path: Path) -> Header:
    """What a file says of itself at its beginning.

    Raises:
        ImageError: the file is not there, or is no picture.
    """
    from PIL import Image

    with _telling(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
            plain = image.mode == "L" or (image.format, image.mode) == ("BMP", "RGB")
            return Header(side=(width, height) if turned else (height, width), mode=image.mode, plain=plain)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Tells Pillow's errors, which are of many kinds, as one."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a PNG, BMP, JPEG or WebP picture, whatever its name says") from error
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} cannot be read ({reason}): get a whole copy, or leave it out") from error


def _side_of(path: Path) -> Side:
    """Height and width of a picture, unless it is of a kind that is refused."""
    header = header_of(path)
    if header.mode != "RGB" and not header.plain:
        read_rgb(path)  # Refuses it, and says why.
    return header.side


def _text(side: Side) -> str:
    return f"{side[0]}x{side[1]}"
