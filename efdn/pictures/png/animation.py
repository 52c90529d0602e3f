"""Animated PNG written frame by frame, in the memory of two frames."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from efdn.pictures.picture import Layout, Metadata, Pixels
from efdn.pictures.png.chunks import SIGNATURE, encoded
from efdn.pictures.png.writer import PngRows, header_chunk, metadata_chunks
from efdn.pictures.rows import SaveOptions

LARGEST_TERM = 2**16 - 1
LEAVE, REPLACE = 0, 0
"""What becomes of a frame afterwards, and of what lies under it."""


class ApngEncoder:
    """Writes frames as they come; of each, the rectangle that changed.

    Args:
        file: to write to; it can seek.
        layout: of all frames.
        metadata: to carry.
        options: `compression` concerns it.
        loop: how often it is shown, 0 for ever.
    """

    def __init__(self, file: BinaryIO, layout: Layout, metadata: Metadata, options: SaveOptions, loop: int) -> None:
        self._file, self._layout, self._effort, self._loop = file, layout, options.compression, loop
        self._before: Pixels | None = None
        self._frames = self._number = 0
        file.write(SIGNATURE + header_chunk(layout))
        self._control_at = file.tell()
        self._write_control()
        for kind, content in metadata_chunks(metadata):
            file.write(encoded(kind, content))

    def add(self, pixels: Pixels, duration_ms: float) -> None:
        """Adds a frame."""
        top, bottom, left, right = (0, pixels.shape[0], 0, pixels.shape[1])
        if self._before is not None:
            top, bottom, left, right = changed_rectangle(self._before, pixels)
        above, below = delay(duration_ms)
        control = struct.pack(
            ">IIIIIHHBB", self._next(), right - left, bottom - top, left, top, above, below, LEAVE, REPLACE
        )
        self._file.write(encoded(b"fcTL", control))
        self._write_rows(np.ascontiguousarray(pixels[top:bottom, left:right]))
        self._before = pixels.copy()
        self._frames += 1

    def finish(self) -> None:
        """Says how many frames there are, which only now is known."""
        self._file.write(encoded(b"IEND", b""))
        self._file.seek(self._control_at)
        self._write_control()
        self._file.seek(0, 2)

    def _write_control(self) -> None:
        self._file.write(encoded(b"acTL", struct.pack(">II", self._frames, self._loop)))

    def _write_rows(self, pixels: Pixels) -> None:
        height, width = pixels.shape[:2]
        layout = Layout(
            width=width, height=height, color=self._layout.color, alpha=self._layout.alpha, bits=self._layout.bits
        )
        rows = PngRows(layout, self._effort)
        for piece in (*rows.add(pixels), *rows.end()):
            if self._before is None:
                self._file.write(encoded(b"IDAT", piece))
            else:
                self._file.write(encoded(b"fdAT", struct.pack(">I", self._next()) + piece))

    def _next(self) -> int:
        self._number += 1
        return self._number - 1


def changed_rectangle(before: Pixels, after: Pixels) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what differs; one pixel where nothing does."""
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return 0, 1, 0, 1
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def delay(duration_ms: float) -> tuple[int, int]:
    """Seconds as a fraction of two numbers of 16 bits."""
    for most in (1000, 100, 10, 1):
        seconds = Fraction(duration_ms / 1000).limit_denominator(most)
        if seconds.numerator <= LARGEST_TERM:
            return seconds.numerator, seconds.denominator
    return LARGEST_TERM, 1
