"""Runs the tiles of a picture and yields the result from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engines.protocol import Engine
from engines.tiling.plan import TilePlan
from engines.tiling.samples import Samples, run_tile, to_samples
from engines.tiling.spans import Span


def tiled_rows(engine: Engine, pixels: Samples, plan: TilePlan, dtype: str) -> Iterator[Samples]:
    """Upscales a picture tile by tile.

    Where tiles overlap they are blended linearly. In memory are, besides the
    picture, one row of tiles and the rows that go over into the next.

    Args:
        engine: an open engine.
        pixels: (H, W, C) uint8, uint16 or float32; C is 1 or 3.
        plan: for (H, W).
        dtype: of the result.

    Yields:
        (n, scale * W, C) of that dtype, from top to bottom.

    Raises:
        EngineError: see `run_tile`.
    """
    last = None
    for row, below in zip(plan.rows, (*plan.rows[1:], None), strict=True):
        head, body, tail = _band(engine, pixels, plan, row, 0 if below is None else below.ramp, dtype)
        if last is not None and len(last):
            yield to_samples(_blended(last, head, axis=0), dtype)
        if len(body):
            yield body
        last = tail


def _band(
    engine: Engine, pixels: Samples, plan: TilePlan, row: Span, ramp_below: int, dtype: str
) -> tuple[Samples, Samples, Samples]:
    """One row of tiles, blended along the width.

    Returns:
        The rows to blend with those of the band above, float32, white 255; the rows that are done, of `dtype`; and
        the rows to blend with those below, float32.
    """
    scale, width, channels = engine.model.scale, plan.side[1], pixels.shape[2]
    above, below, kept = scale * row.ramp, scale * ramp_below, scale * (row.last - row.first)
    head = np.empty((above, scale * width, channels), np.float32)
    body = np.empty((kept - above - below, scale * width, channels), dtype)
    tail = np.empty((below, scale * width, channels), np.float32)
    carried: Samples | None = None
    for column, beside in zip(plan.columns, (*plan.columns[1:], None), strict=True):
        result = _kept(run_tile(engine, _seen(pixels, plan, row, column)), scale, row, column)
        if carried is not None:
            overlap = carried.shape[1]
            result = np.concatenate((_blended(carried, result[:, :overlap], axis=1), result[:, overlap:]), axis=1)
        ramp = 0 if beside is None else scale * beside.ramp
        stop = result.shape[1] - ramp
        carried = result[:, stop:].copy()
        at = slice(scale * (column.first - plan.pad), scale * (column.first - plan.pad) + stop)
        head[:, at], tail[:, at] = result[:above, :stop], result[kept - below :, :stop]
        body[:, at] = to_samples(result[above : kept - below, :stop], dtype)
    return head, body, tail


def _seen(pixels: Samples, plan: TilePlan, row: Span, column: Span) -> Samples:
    """What the network sees of a picture in a tile, mirrored where the tile reaches beyond it."""
    rows, columns = _indices(row, plan.pad, plan.side[0]), _indices(column, plan.pad, plan.side[1])
    if isinstance(rows, slice) and isinstance(columns, slice):
        return pixels[rows, columns]
    return pixels[rows][:, columns]


def _indices(span: Span, pad: int, length: int) -> slice | NDArray[np.intp]:
    """Which of an axis's pixels a span sees.

    Beyond the picture the outermost ones are repeated, back and forth if need be; pixels of the other end stand
    before or after.
    """
    start, stop = span.start - pad, span.stop - pad
    if start >= 0 and stop <= length and not span.before and not span.after:
        return slice(start, stop)
    around = np.arange(start, stop) % (2 * length)
    mirrored = np.where(around < length, around, 2 * length - 1 - around)
    return np.concatenate((np.arange(span.before), mirrored, np.arange(length - span.after, length)))


def _kept(result: Samples, scale: int, row: Span, column: Span) -> Samples:
    """The part of a tile's result that is not context."""
    top, left = (scale * (span.before + span.first - span.start) for span in (row, column))
    height, width = (scale * (span.last - span.first) for span in (row, column))
    return result[top : top + height, left : left + width]


def _blended(before: Samples, after: Samples, *, axis: int) -> Samples:
    """From one to the other along an axis, linearly. float32."""
    count = before.shape[axis]
    weight = ((np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1, count))).reshape(
        (count, 1, 1) if axis == 0 else (1, count, 1)
    )
    blended: Samples = before * (1 - weight) + after * weight
    return blended
