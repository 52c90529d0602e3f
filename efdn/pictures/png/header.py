"""The first chunk of a PNG file."""

from __future__ import annotations

import struct
from dataclasses import dataclass

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
SAMPLES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}
"""Of a pixel, for each colour type."""


@dataclass(frozen=True, kw_only=True)
class PngHeader:
    """A PNG's first chunk.

    Attributes:
        width: in pixels.
        height: in pixels.
        bits: of a sample or index.
        kind: PNG's colour type.
        rest: compression, filter and interlace methods, a byte each.
    """

    width: int
    height: int
    bits: int
    kind: int
    rest: bytes

    def packed(self, width: int, height: int) -> bytes:
        """The chunk's content for a picture of this size, not interlaced."""
        return struct.pack(">IIBB", width, height, self.bits, self.kind) + self.rest[:2] + b"\0"

    def row_bytes(self, width: int) -> int:
        """Of a row of this many pixels, with the filter's byte before it."""
        return 1 + (width * SAMPLES[self.kind] * self.bits + 7) // 8
