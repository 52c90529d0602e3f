"""A picture in memory, and what came with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from numpy.typing import NDArray

from efdn.shapes import Side

Pixels = NDArray[Any]
"""Samples of a picture, uint8 in 0..255 or uint16 in 0..65535; in memory also float32, white 1."""


class Color(str, Enum):
    """What the channels of a picture mean."""

    GRAY = "gray"
    RGB = "RGB"
    CMYK = "CMYK"

    @property
    def channels(self) -> int:
        """How many there are, alpha not counted."""
        return {"gray": 1, "RGB": 3, "CMYK": 4}[self.value]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Size and kind of a picture, to be read or to be written.

    Attributes:
        width: in pixels, as it is seen.
        height: in pixels, as it is seen.
        color: what its channels mean.
        alpha: whether there is one more channel, of opacity.
        bits: of a sample: 1 (gray only), 8 or 16; 32 are floats, which are kept in memory only.
    """

    width: int
    height: int
    color: Color
    alpha: bool = False
    bits: int = 8

    @property
    def side(self) -> Side:
        """Height and width."""
        return self.height, self.width

    @property
    def channels(self) -> int:
        """How many there are, alpha counted."""
        return self.color.channels + self.alpha

    @property
    def dtype(self) -> str:
        """NumPy's name of the samples' type; 1-bit pictures are 0 and 255 of uint8."""
        return {16: "uint16", 32: "float32"}.get(self.bits, "uint8")

    def __str__(self) -> str:
        alpha = " with alpha" if self.alpha else ""
        return f"{self.width}x{self.height} {self.color.value}{alpha}, {self.bits} bit{'s' if self.bits > 1 else ''}"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a picture carries besides its pixels. Everything may be missing.

    Attributes:
        icc_profile: its colour profile.
        exif: a TIFF structure, as PNG's eXIf chunk has it: without "Exif" before it, upright, without thumbnail.
        xmp: an XML packet, UTF-8, upright.
        dpi: pixels an inch, along x and y.
        png_chunks: type and content of a PNG's further chunks on how it looks and what it says: gAMA, cHRM, sRGB,
            cICP, tEXt, zTXt, iTXt (without XMP).
        comment: of a JPEG.
    """

    icc_profile: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    comment: bytes | None = field(default=None, repr=False)


NOTHING = Metadata()


@dataclass(frozen=True, kw_only=True)
class Header:
    """A picture as its file announces it, before anything is decoded.

    Attributes:
        format: Pillow's name of the file's format, such as "PNG".
        kind: the picture's kind in words, such as "palette with transparency".
        layout: of the picture as `read_picture` gives it: upright, palettes resolved.
        bits: of a sample in the file; 10 and 12 are read as 16.
        frames: how many pictures the file has.
        moving: whether these are frames of an animation rather than pages.
        loops: how often an animation is played, 0 for ever; 1 for all else.
    """

    format: str
    kind: str
    layout: Layout
    bits: int
    frames: int = 1
    moving: bool = False
    loops: int = 1


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in memory, upright.

    Attributes:
        pixels: (H, W, C), uint8 in 0..255, uint16 in 0..65535 or float32 with white 1; C is 1, 3 or 4 as `color` says.
            CMYK is ink: 0 is none. Colours are straight, not multiplied with alpha.
        alpha: (H, W) of the same type, 0 is transparent; None where all is opaque by kind.
        color: what the channels mean.
        header: how it stood in its file; None if it comes from no file.
        metadata: what came with it.
        warnings: what was left out on reading, one sentence each, such as that only the first frame was taken.
    """

    pixels: Pixels = field(repr=False)
    color: Color
    alpha: Pixels | None = field(default=None, repr=False)
    header: Header | None = None
    metadata: Metadata = NOTHING
    warnings: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout:
        """Its size and kind; a 1-bit picture has 1 bit only while it is as it was read."""
        height, width = self.pixels.shape[:2]
        bits = {"uint16": 16, "float32": 32}.get(str(self.pixels.dtype), 8)
        if self.header is not None and self.header.bits == 1:
            bits = 1
        return Layout(width=width, height=height, color=self.color, alpha=self.alpha is not None, bits=bits)
