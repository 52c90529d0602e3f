"""PNG written row by row, in constant memory.

Rows are filtered with Paeth's predictor, block by block in NumPy: it depends on the picture's own samples only. Each
block is compressed by itself, and the blocks joined to one zlib stream, so that each can have what suits it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from efdn.pictures.picture import Color, Layout, Metadata, Pixels
from efdn.pictures.png.chunks import SIGNATURE, encoded
from efdn.pictures.png.compression import RowBlocks, deflate
from efdn.pictures.rows import SaveOptions

Bytes = NDArray[np.uint8]

BLOCK_BYTES = 1 << 20
CACHE_BYTES = 96 << 10
"""Rows filtered at a time, so that what lies between the steps stays in the processor's cache."""

NO_FILTER, PAETH = 0, 4
COLOR_TYPES = {(Color.GRAY, False): 0, (Color.RGB, False): 2, (Color.GRAY, True): 4, (Color.RGB, True): 6}
METRES_AN_INCH = 0.0254
LAST_EMPTY_BLOCK = b"\x03\x00"
XMP_KEYWORD = b"XML:com.adobe.xmp"


class PngEncoder:
    """Writes a PNG's chunks as its rows come.

    Args:
        file: to write to.
        layout: of the picture.
        metadata: to carry.
        options: `compression` concerns it.
    """

    def __init__(self, file: BinaryIO, layout: Layout, metadata: Metadata, options: SaveOptions) -> None:
        self._file = file
        self._stream = PngRows(layout, options.compression)
        file.write(SIGNATURE + header_chunk(layout))
        for kind, content in metadata_chunks(metadata):
            file.write(encoded(kind, content))

    def write(self, rows: Pixels) -> None:
        """Adds rows, see `RowWriter`."""
        for piece in self._stream.add(rows):
            self._file.write(encoded(b"IDAT", piece))

    def finish(self) -> None:
        """Writes what is left; all rows are there."""
        for piece in self._stream.end():
            self._file.write(encoded(b"IDAT", piece))
        self._file.write(encoded(b"IEND", b""))


class PngRows:
    """Rows turned into the zlib stream of a PNG, in pieces.

    Args:
        layout: of the picture.
        effort: see `deflate`.
    """

    def __init__(self, layout: Layout, effort: int | None) -> None:
        self._bits, self._effort = layout.bits, effort
        row_bytes = (layout.width * layout.channels * layout.bits + 7) // 8
        self._pixel_bytes = max(1, layout.channels * layout.bits // 8)
        self._blocks = RowBlocks(max(1, BLOCK_BYTES // row_bytes))
        self._above = np.zeros(row_bytes, np.uint8)
        self._checksum = zlib.adler32(b"")
        self._start = b"\x78\x01"

    def add(self, rows: Pixels) -> Iterator[bytes]:
        """Pieces that are ready once these rows are there."""
        for block in self._blocks.add(rows):
            yield self._piece(block)

    def end(self) -> Iterator[bytes]:
        """The last pieces."""
        for block in self._blocks.rest():
            yield self._piece(block)
        yield self._start + LAST_EMPTY_BLOCK + struct.pack(">I", self._checksum)

    def _piece(self, block: Pixels) -> bytes:
        samples = sample_bytes(block, self._bits)
        # Packed bits and stored bytes gain nothing from a filter.
        plain = self._bits == 1 or self._effort == 0
        filtered = unfiltered(samples) if plain else paeth(samples, self._above, self._pixel_bytes)
        self._above = samples[-1].copy()
        data = filtered.tobytes()
        self._checksum = zlib.adler32(data, self._checksum)
        start, self._start = self._start, b""
        return start + deflate(data, self._effort, part=True)


def sample_bytes(rows: Pixels, bits: int) -> Bytes:
    """(n, W, C) samples as a PNG has them, (n, bytes): most significant first, eight 1-bit samples to a byte."""
    flat = rows.reshape(len(rows), -1)
    if bits == 16:
        return np.ascontiguousarray(flat, dtype=">u2").view(np.uint8)
    return np.packbits(flat >= 128, axis=1) if bits == 1 else flat


def unfiltered(samples: Bytes) -> Bytes:
    """Rows with the byte before them that says so."""
    return np.pad(samples, ((0, 0), (1, 0)), constant_values=NO_FILTER)


def paeth(samples: Bytes, above: Bytes, pixel_bytes: int) -> Bytes:
    """Rows less what is expected from left, above and upper left, as PNG defines its filter 4.

    Args:
        samples: (n, bytes).
        above: (bytes,), the row above the first; zeros at the top.
        pixel_bytes: from a sample to the same of the pixel on its left.

    Returns:
        (n, 1 + bytes), with the filter's number before each row.
    """
    height, width = samples.shape
    bordered = np.zeros((height + 1, width + pixel_bytes), np.uint8)
    bordered[0, pixel_bytes:], bordered[1:, pixel_bytes:] = above, samples
    filtered = np.empty((height, width + 1), np.uint8)
    filtered[:, 0] = PAETH
    step = max(1, CACHE_BYTES // width)
    for top in range(0, height, step):
        here = bordered[top + 1 : top + 1 + step]
        up = bordered[top : top + step][: len(here)]
        predicted = _predicted(here[:, :-pixel_bytes], up[:, pixel_bytes:], up[:, :-pixel_bytes])
        np.subtract(here[:, pixel_bytes:], predicted, out=filtered[top : top + step, 1:])
    return filtered


def _predicted(left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
    """That of the three which is nearest to left + above - corner, without leaving 8 bits.

    That sum lies as far from the lower of both as the corner from the higher, and the other way round; where the
    corner is not between them, one of the distances is 0 here and the right one of both is taken.
    """
    low, high = np.minimum(left, above), np.maximum(left, above)
    from_high = np.maximum(corner, low)
    from_high -= low
    from_low = high - np.minimum(corner, high)
    # Negated, the bytes 0 and 1 of a comparison are masks: quicker than choosing with numpy.where.
    take_low = np.negative((from_low <= from_high).view(np.uint8))
    low ^= high
    low &= take_low
    high ^= low
    near = np.minimum(from_low, from_high)
    from_corner = np.maximum(from_low, from_high, out=from_high)
    from_corner -= near
    take_corner = np.negative((from_corner < near).view(np.uint8))
    take_corner &= high ^ corner
    high ^= take_corner
    return high


def header_chunk(layout: Layout) -> bytes:
    """IHDR of a picture."""
    kind = COLOR_TYPES[layout.color, layout.alpha]
    return encoded(b"IHDR", struct.pack(">IIBBBBB", layout.width, layout.height, layout.bits, kind, 0, 0, 0))


def metadata_chunks(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Chunks to stand before the pixels."""
    if metadata.icc_profile is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile, 9)
    for kind, content in metadata.png_chunks:
        # Of a profile and sRGB, a PNG may have one.
        if kind != b"sRGB" or metadata.icc_profile is None:
            yield kind, content
    if metadata.dpi is not None:
        x, y = (min(max(1, round(number / METRES_AN_INCH)), 2**31 - 1) for number in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.xmp is not None:
        yield b"iTXt", XMP_KEYWORD + b"\0" * 5 + metadata.xmp
    if metadata.comment is not None:
        yield _comment(metadata.comment)


def _comment(comment: bytes) -> tuple[bytes, bytes]:
    """A JPEG's comment as text: UTF-8 where it is, Latin-1 where not, as any bytes can be read."""
    text = comment.replace(b"\0", b"")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return b"tEXt", b"Comment\0" + text
    return b"iTXt", b"Comment" + b"\0" * 5 + text
