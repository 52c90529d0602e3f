"""TIFF written row by row, in constant memory: strips compressed with deflate, directories behind them."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from efdn.pictures.exif import RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION
from efdn.pictures.picture import Color, Layout, Metadata, Pixels
from efdn.pictures.png.compression import RowBlocks, deflate
from efdn.pictures.rows import SaveOptions
from efdn.pictures.tiff.ifd import (
    BYTE,
    INCH,
    UNDEFINED,
    Tree,
    Value,
    long,
    long8,
    rational,
    read_tree,
    short,
    write_tree,
)

STRIP_BYTES = 256 << 10
LARGEST_CLASSIC = 2**32 - 2**26
"""In bytes of samples; beyond it offsets may need more than 32 bits, which BigTIFF has."""

NEW_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_A_STRIP, STRIP_SIZES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
EXTRA_SAMPLES, XMP, ICC_PROFILE = 338, 700, 34675

STORED, DEFLATE = 1, 8
HORIZONTAL = 2
PAGE = 2
UNASSOCIATED_ALPHA = 2
PHOTOMETRICS = {Color.GRAY: 1, Color.RGB: 2, Color.CMYK: 5}

RANGES_OF_PIXELS = (
    *((254, 266), (273, 274), (277, 284), (288, 293), (296, 297), (301, 301)),
    *((317, 325), (330, 347), (512, 532)),
)
TAGS_OF_PIXELS = frozenset(
    {tag for first, last in RANGES_OF_PIXELS for tag in range(first, last + 1)} | {XMP, ICC_PROFILE}
)
"""Tags of EXIF's main directory that speak of how another file stored its pixels, or that are written anew."""


class TiffEncoder:
    """Writes a TIFF's strips as its rows come.

    Args:
        file: to write to; it can seek.
        options: `compression` concerns it.
        big: whether as BigTIFF, see `is_big`.
    """

    def __init__(self, file: BinaryIO, options: SaveOptions, *, big: bool = False) -> None:
        self._file, self._effort, self._big = file, options.compression, big
        self._pages = 0
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0))
        self._link_at = 8 if big else 4

    def begin(self, layout: Layout, metadata: Metadata) -> None:
        """Begins a page; all rows of the one before are there, and it is finished."""
        self._layout, self._metadata = layout, metadata
        self._strip_rows = min(layout.height, max(1, STRIP_BYTES // _row_bytes(layout)))
        self._blocks = RowBlocks(self._strip_rows)
        self._strips: list[tuple[int, int]] = []

    def write(self, rows: Pixels) -> None:
        """Adds rows, see `RowWriter`."""
        for block in self._blocks.add(rows):
            self._strip(block)

    def finish(self) -> None:
        """Ends a page, all rows of which are there; the file is then complete."""
        for block in self._blocks.rest():
            self._strip(block)
        start, link_at = write_tree(self._file, self._directory(), big=self._big)
        self._file.seek(self._link_at)
        self._file.write(struct.pack("<Q" if self._big else "<I", start))
        self._file.seek(0, 2)
        self._link_at = link_at
        self._pages += 1

    def _strip(self, block: Pixels) -> None:
        data = self._samples(block)
        if self._effort != 0:
            data = deflate(data, self._effort)
        self._strips.append((self._file.tell(), len(data)))
        self._file.write(data)

    def _samples(self, block: Pixels) -> bytes:
        if self._layout.bits == 1:
            return np.packbits(block.reshape(len(block), -1) >= 128, axis=1).tobytes()
        if self._effort != 0:
            # Without alpha or with it, TIFF's predictor is the pixel on the left; differences wrap around.
            differences = block.copy()
            differences[:, 1:] -= block[:, :-1]
            block = differences
        return block.astype(block.dtype.newbyteorder("<"), copy=False).tobytes()

    def _directory(self) -> Tree:
        layout, stored = self._layout, self._effort == 0
        tree = metadata_tree(self._metadata)
        whole = long8 if self._big else long
        tree.values.update(
            {
                NEW_SUBFILE_TYPE: long(PAGE if self._pages else 0),
                WIDTH: long(layout.width),
                HEIGHT: long(layout.height),
                BITS: short(*[layout.bits] * layout.channels),
                COMPRESSION: short(STORED if stored else DEFLATE),
                PHOTOMETRIC: short(PHOTOMETRICS[layout.color]),
                STRIP_OFFSETS: whole(*(start for start, _ in self._strips)),
                SAMPLES: short(layout.channels),
                ROWS_A_STRIP: long(self._strip_rows),
                STRIP_SIZES: whole(*(size for _, size in self._strips)),
                PLANAR: short(1),
            }
        )
        if layout.alpha:
            tree.values[EXTRA_SAMPLES] = short(UNASSOCIATED_ALPHA)
        if layout.bits > 1 and not stored:
            tree.values[PREDICTOR] = short(HORIZONTAL)
        return tree


def is_big(layout: Layout) -> bool:
    """Whether a picture needs BigTIFF, if it does not shrink."""
    return layout.height * _row_bytes(layout) > LARGEST_CLASSIC


def metadata_tree(metadata: Metadata) -> Tree:
    """The directory of a TIFF file as far as it is not about pixels: EXIF's own directories stay such."""
    exif = Tree(values={}) if metadata.exif is None else read_tree(metadata.exif)
    values = {tag: value for tag, value in exif.values.items() if tag not in TAGS_OF_PIXELS}
    if metadata.dpi is not None:
        values[X_RESOLUTION], values[Y_RESOLUTION] = map(rational, metadata.dpi)
        values[RESOLUTION_UNIT] = short(INCH)
    elif RESOLUTION_UNIT in exif.values:
        values[RESOLUTION_UNIT] = exif.values[RESOLUTION_UNIT]
    if metadata.xmp is not None:
        values[XMP] = Value(kind=BYTE, data=metadata.xmp)
    if metadata.icc_profile is not None:
        values[ICC_PROFILE] = Value(kind=UNDEFINED, data=metadata.icc_profile)
    return Tree(values=values, below=exif.below)


def _row_bytes(layout: Layout) -> int:
    return (layout.width * layout.channels * layout.bits + 7) // 8
