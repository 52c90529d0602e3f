"""Interlaced PNGs, taken apart into their seven passes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from efdn.pictures.picture import Pixels
from efdn.pictures.png.chunks import BrokenPngError, bare_png
from efdn.pictures.png.header import PngHeader

PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, and steps down and to the right."""


def interlaced(
    header: PngHeader, colors: tuple[tuple[bytes, bytes], ...], width: int, height: int, data: Iterable[bytes]
) -> Pixels:
    """Decodes pass after pass as a picture of its own: of whole interlaced pictures the codec complains on stderr.

    Args:
        header: of the PNG.
        colors: its chunks PLTE and tRNS.
        width: in pixels.
        height: in pixels.
        data: compressed pixels in pieces.

    Raises:
        BrokenPngError: there are too few of them.
    """
    import imagecodecs
    import numpy as np

    places = [(range(top, height, down), range(left, width, right)) for top, left, down, right in PASSES]
    places = [(rows, columns) for rows, columns in places if rows and columns]
    sizes = [len(rows) * header.row_bytes(len(columns)) for rows, columns in places]
    plain = zlib.decompressobj().decompress(b"".join(data), sum(sizes))
    if len(plain) < sum(sizes):
        raise BrokenPngError("there are too few pixels")
    whole: Pixels = np.zeros(0)
    at = 0
    for (rows, columns), size in zip(places, sizes, strict=True):
        content = zlib.compress(plain[at : at + size], 1)
        at += size
        part = imagecodecs.png_decode(bare_png(header.packed(len(columns), len(rows)), colors, [content]))
        if not whole.size:
            whole = np.zeros((height, width, *part.shape[2:]), part.dtype)
        whole[rows.start :: rows.step, columns.start :: columns.step] = part
    return whole
