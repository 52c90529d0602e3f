"""A picture as its file stores it, between the formats' readers and what makes a `Picture` of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from efdn.errors import ImageError, TooLargeError
from efdn.pictures.picture import NOTHING, Layout, Metadata, Pixels

MOST_FRAMES = 100_000
"""Beyond it a file is taken for a trap."""


@dataclass(frozen=True, kw_only=True)
class Raster:
    """Decoded samples as they are stored, not yet turned upright.

    Attributes:
        pixels: (H, W, C), uint8 in 0..255 or uint16 in 0..65535.
        alpha: (H, W) of the same type, or None.
    """

    pixels: Pixels = field(repr=False)
    alpha: Pixels | None = field(default=None, repr=False)


MOST_BESIDES, MOST_BYTES_A_PIXEL = 64 << 20, 16
"""What a file that is decoded from memory may have of metadata, or of a phone's video behind a photo; and, far beyond
what any codec needs, of pixels."""

Shown = tuple[Raster, float]
"""A frame as it is shown, and for how many milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An open file, and how large a picture may be."""

    path: Path
    file: BinaryIO
    max_pixels: int

    def check(self, width: int, height: int) -> None:
        """Refuses what is too large before it is decoded.

        Raises:
            TooLargeError: more than `max_pixels`.
            ImageError: none at all.
        """
        if width < 1 or height < 1:
            raise ImageError(f"{self.path} has {width}x{height} pixels: expected at least 1x1; get a whole copy")
        if width * height > self.max_pixels:
            raise TooLargeError(
                f"{self.path} has {width}x{height} pixels, more than the limit of {self.max_pixels}: "
                "raise --max-pixels or crop it",
                width=width,
                height=height,
                max_pixels=self.max_pixels,
            )

    def content(self, pixels: int) -> bytes:
        """The whole file, of this many pixels in all its frames.

        Raises:
            ImageError: it is longer than they can explain.
        """
        size, most = self.file.seek(0, 2), MOST_BESIDES + MOST_BYTES_A_PIXEL * pixels
        if size > most:
            raise ImageError(
                f"{self.path} has {size} bytes: expected at most {most} of {pixels} pixels; save the picture anew"
            )
        return self.beginning(size)

    def beginning(self, most: int) -> bytes:
        """At most so many bytes, from the first on."""
        size = self.file.seek(0, 2)
        self.file.seek(0)
        return self.file.read(min(size, most))

    def refused(self, kind: str, instead: str) -> ImageError:
        """For a kind of picture that is not read; `instead` says what to convert to."""
        return ImageError(f"{self.path} is {kind}, which is not supported: {instead}")

    def warning(self, said: str) -> str:
        """A warning about this file."""
        return f"{self.path}: {said}"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A picture in an open file, its header read and nothing decoded.

    Attributes:
        format: Pillow's name of the file's format.
        kind: in words.
        layout: as stored, not yet upright.
        bits: of a sample in the file.
        load: decodes the first picture.
        play: decodes all, one after the other.
        metadata: as the file has it.
        orientation: EXIF's, 1 to 8, to be applied.
        frames: how many there are.
        moving: whether they are frames of an animation rather than pages.
        loops: how often an animation is played; 0 is forever.
        warnings: what was left out so far.
    """

    format: str
    kind: str
    layout: Layout
    bits: int
    load: Callable[[], Raster]
    play: Callable[[], Iterator[Shown]] | None = None
    metadata: Metadata = NOTHING
    orientation: int = 1
    frames: int = 1
    moving: bool = False
    loops: int = 1
    warnings: tuple[str, ...] = ()


def kind_in_words(layout: Layout, bits: int) -> str:
    """Such as "16-bit RGB with alpha"."""
    return f"{bits}-bit {layout.color.value}{' with alpha' if layout.alpha else ''}"


def split_alpha(samples: Pixels, alpha: bool) -> Raster:
    """Samples (H, W) or (H, W, C), the last of them alpha if so said, as a raster."""
    import numpy as np

    whole = samples[..., None] if samples.ndim == 2 else samples
    if not alpha:
        return Raster(pixels=np.ascontiguousarray(whole))
    return Raster(pixels=np.ascontiguousarray(whole[..., :-1]), alpha=np.ascontiguousarray(whole[..., -1]))


def widened(samples: Pixels, bits: int) -> Pixels:
    """Samples of 2 to 16 bits over the whole range of uint8 or uint16, to the nearest."""
    import numpy as np

    if bits in (8, 16):
        return samples
    top, dtype = (255, np.uint8) if bits < 8 else (65535, np.uint16)
    table = np.rint(np.arange(2**bits) * (top / (2**bits - 1))).astype(dtype)
    widest: Pixels = table[np.minimum(samples, 2**bits - 1)]
    return widest
