"""Rows resized as they come, with an antialiased Lanczos filter, in bounded memory."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ShapeError, UsageError
from efdn.pictures.picture import Layout, Pixels

REACH = 3.0
"""Of the filter on each side, in pixels of the coarser of both pictures."""

BAND_BYTES = 16 << 20
"""Of what is resized at a time, in double precision."""

FEWEST_ROWS = 16
"""Of a band, or rows are read again for the filter's reach too often."""

LARGEST_SIDE = 10**6
SIZE = re.compile(r"(?P<width>\d+)?x(?P<height>\d+)?|(?P<percent>\d+(\.\d+)?)%")
FIXED_ONE = 1 << 22
"""What stands for 1 among Pillow's weights for 8 bits."""

Floats = NDArray[np.float64]


def parse_size(text: str, width: int, height: int) -> tuple[int, int]:
    """The size that `text` asks for.

    Args:
        text: "1920x1080" is that size, "1920x" a width and "x1080" a height with the other side in proportion, "50%" a
            share of both sides.
        width: of the picture, in pixels.
        height: of the picture, in pixels.

    Returns:
        Width and height, rounded, each at least 1.

    Raises:
        UsageError: it is none of these, or beyond a million pixels a side.
    """
    found = SIZE.fullmatch(text.strip().lower())
    if found is None or text.strip().lower() == "x":
        raise UsageError(f"expected a size such as 1920x1080, 1920x, x1080 or 50%, got {text!r}")
    if found["percent"]:
        share = float(found["percent"]) / 100
        sides = width * share, height * share
    else:
        across = int(found["width"]) if found["width"] else None
        down = int(found["height"]) if found["height"] else None
        sides = (
            across if across is not None else width * (down or 0) / height,
            down if down is not None else height * (across or 0) / width,
        )
    if 0 in (float(found[name] or 1) for name in ("width", "height", "percent")) or max(sides) > LARGEST_SIDE:
        raise UsageError(f"expected a size of 1 to {LARGEST_SIDE} pixels a side, got {text!r}")
    # Halves are rounded up.
    return max(1, math.floor(sides[0] + 0.5)), max(1, math.floor(sides[1] + 0.5))


def resized_rows(rows: Iterator[Pixels], source: Layout, width: int, height: int) -> Iterator[Pixels]:
    """Resizes a picture that comes row by row.

    8 bits without alpha come out as if Pillow resized the whole picture, first across and then down. The others are
    resized in single precision. With alpha, colours are multiplied with it before and divided by it after, so that
    what is transparent does not shine through.

    Args:
        rows: blocks of (n, W, C), alpha last, of the layout's dtype; all rows of the picture from top to bottom.
        source: size and kind of that picture.
        width: wanted, in pixels.
        height: wanted, in pixels.

    Returns:
        Blocks of (n, width, C) of the same dtype, `height` rows in all.

    Raises:
        ShapeError: rows are missing.
    """
    if (width, height) == (source.width, source.height):
        yield from rows
        return
    window = _Window((_across(block, source, width) for block in rows), source.height)
    band = _band_rows(source, width, source.height / height)
    for top in range(0, height, band):
        weights = _Weights(source.height, height, range(top, min(height, top + band)))
        held = window.between(weights.first, weights.last)
        yield _as_samples(_down(held, weights), source)


class _Window:
    """Rows that are still needed."""

    def __init__(self, blocks: Iterator[Pixels], height: int) -> None:
        self._blocks, self._height = blocks, height
        self._parts: list[Pixels] = []
        self._first = 0
        self._end = 0

    def between(self, first: int, last: int) -> Pixels:
        """Rows first to last; those before are forgotten."""
        while self._end < last:
            block = next(self._blocks, None)
            if block is None:
                raise ShapeError(f"expected {self._height} rows, got {self._end}: give the whole picture")
            self._parts.append(block)
            self._end += len(block)
        held = np.concatenate(self._parts) if len(self._parts) > 1 else self._parts[0]
        held = held[first - self._first :]
        self._parts, self._first = [held], first
        return held[: last - first]


class _Weights:
    """What each row of a band takes of each row of the source, as Pillow computes it.

    Args:
        height: of the source, in rows.
        new_height: of the result, in rows.
        rows: of the result, which make the band.

    Attributes:
        first: row of the source that is taken, by any row.
        last: the same, plus one.
        starts: (n,), the first row that each takes, counted from `first`.
        shares: (n, k) float64, of that row and those after it; each row of these adds up to 1.
    """

    def __init__(self, height: int, new_height: int, rows: range) -> None:
        step = height / new_height
        widening = max(step, 1.0)
        centres = (np.array(rows) + 0.5) * step
        starts = np.maximum((centres - REACH * widening + 0.5).astype(int), 0)
        ends = np.minimum((centres + REACH * widening + 0.5).astype(int), height)
        taken = starts[:, None] + np.arange((ends - starts).max())
        distances = (taken - centres[:, None] + 0.5) * (1 / widening)
        shares = np.where(taken < ends[:, None], _lanczos(distances), 0)
        self.shares = shares / shares.sum(axis=1, keepdims=True)
        self.first, self.last = int(starts[0]), int(ends[-1])
        self.starts = starts - self.first


def _lanczos(x: Floats) -> Floats:
    values: Floats = np.where(np.abs(x) < REACH, np.sinc(x) * np.sinc(x / REACH), 0)
    return values


def _band_rows(source: Layout, width: int, step: float) -> int:
    """How many rows are made at a time."""
    row_bytes = source.channels * 8 * width * max(1.0, step)
    return max(1, int(BAND_BYTES / row_bytes), min(FEWEST_ROWS, int(FEWEST_ROWS / step)))


def _in_floats(source: Layout) -> bool:
    return source.alpha or source.bits > 8


def _across(rows: Pixels, source: Layout, width: int) -> Pixels:
    """Rows of the new width: uint8, or float32 with colours multiplied with alpha."""
    if _in_floats(source):
        rows = rows.astype(np.float32)
        if source.alpha:
            rows[..., :-1] *= rows[..., -1:] / _most(source)
        return np.concatenate(
            [_filtered(rows[..., index : index + 1], "F", width) for index in range(rows.shape[2])], axis=2
        )
    return _filtered(rows, {1: "L", 3: "RGB", 4: "CMYK"}[rows.shape[2]], width)


def _filtered(rows: Pixels, mode: str, width: int) -> Pixels:
    from PIL import Image

    height, before, channels = rows.shape
    image = Image.frombuffer(mode, (before, height), np.ascontiguousarray(rows), "raw", mode, 0, 1)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)).reshape(height, width, channels)


def _down(held: Pixels, weights: _Weights) -> Pixels:
    """Resizes a band downwards; Pillow's box would be in single precision, and shift it."""
    shares, whole = weights.shares, held.dtype == np.uint8
    if whole:
        # Pillow's weights are whole numbers; their products and sums are exact in double precision.
        shares = np.trunc(shares * FIXED_ONE + np.copysign(0.5, shares))
    values = held.reshape(len(held), -1).astype(np.float64)
    result = np.empty((len(shares), values.shape[1]))
    for index, start in enumerate(weights.starts):
        rows = values[start : start + shares.shape[1]]
        np.matmul(shares[index, : len(rows)], rows, out=result[index])
    if whole:
        result = np.clip(np.floor((result + FIXED_ONE // 2) / FIXED_ONE), 0, 255)
    return result.astype(held.dtype).reshape(-1, *held.shape[1:])


def _as_samples(rows: Pixels, source: Layout) -> Pixels:
    """What was filtered, as samples of the source's kind."""
    if not _in_floats(source):
        return rows
    if source.alpha:
        alpha = rows[..., -1:]
        # Where nothing is visible, any colour will do; the filter's undershoot must not turn into one.
        visible = alpha >= (0.5 / 255 if source.bits == 32 else 0.5)
        colors = rows[..., :-1] * (_most(source) / np.where(visible, alpha, np.float32(1)))
        rows = np.concatenate([np.where(visible, colors, np.float32(0)), alpha], axis=2)
    return rows if source.bits == 32 else np.clip(np.rint(rows), 0, _most(source)).astype(source.dtype)


def _most(source: Layout) -> float:
    return {16: 65535.0, 32: 1.0}.get(source.bits, 255.0)
