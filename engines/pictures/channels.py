"""The channels of a picture through a network of RGB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from efdn.pictures.picture import Color
from engines.pictures.options import AlphaBy
from engines.protocol import Engine
from engines.tiling.options import TileOptions
from engines.tiling.samples import WHITE, Samples
from engines.tiling.upscaling import upscaled_rows

BAND = 64
"""Rows of the small picture that bicubic scaling takes at a time."""


def color_rows(engine: Engine, pixels: Samples, color: Color, options: TileOptions, dtype: str) -> Iterator[Samples]:
    """Upscales colours.

    Gray goes through the network as three equal channels. So does CMYK in two runs: what its three inks leave of
    white as RGB, and what black leaves as gray.

    Args:
        engine: an open engine.
        pixels: (H, W, C), straight colours; CMYK is ink, 0 is none.
        color: what the channels mean.
        options: how it is cut into tiles.
        dtype: of the result.

    Yields:
        (n, scale * W, C) of that dtype.
    """
    if color is not Color.CMYK:
        yield from upscaled_rows(engine, pixels, options, dtype)
        return
    left = _inverted(pixels)
    streams = [upscaled_rows(engine, part, options, dtype) for part in (left[..., :3], left[..., 3:])]
    for parts in side_by_side(streams):
        yield _inverted(parts)


def alpha_rows(engine: Engine, alpha: Samples, by: AlphaBy, options: TileOptions, dtype: str) -> Iterator[Samples]:
    """Upscales opacity; where it is the same everywhere there is nothing to compute.

    Args:
        engine: an open engine.
        alpha: (H, W).
        by: what upscales it.
        options: how it is cut into tiles.
        dtype: of the result.

    Yields:
        (n, scale * W, 1) of that dtype.
    """
    if (alpha == alpha[0, 0]).all():
        yield from _constant(alpha, engine.model.scale, dtype)
    elif by is AlphaBy.EFDN:
        yield from _within_reach(upscaled_rows(engine, alpha[..., None], options, dtype), alpha, engine.model.scale)
    else:
        yield from _bicubic(alpha, engine.model.scale, dtype)


def _within_reach(rows: Iterator[Samples], alpha: Samples, scale: int) -> Iterator[Samples]:
    """Keeps opacity between the least and the most of the nine pixels around.

    At edges the network overshoots, which makes photos crisp, but would give half-transparent areas a rim.
    """
    low, high = _of_nine(alpha, np.minimum), _of_nine(alpha, np.maximum)
    top = 0
    for block in rows:
        lines = np.arange(top, top + len(block)) // scale
        least, most = (
            converted(bound[lines].repeat(scale, axis=1)[..., None], str(block.dtype)) for bound in (low, high)
        )
        yield np.clip(block, least, most)
        top += len(block)


def _of_nine(alpha: Samples, choose: np.ufunc) -> Samples:
    """The least or the most of each pixel and the eight around it."""
    height, width = alpha.shape
    wide = np.pad(alpha, 1, mode="edge")
    shifted = [wide[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return np.asarray(choose.reduce(shifted))


def side_by_side(streams: list[Iterator[Samples]]) -> Iterator[Samples]:
    """Joins the channels of streams of rows, whose blocks may be of different heights."""
    held: list[Samples | None] = [None] * len(streams)
    while True:
        for index, stream in enumerate(streams):
            block = held[index]
            if block is None or not len(block):
                held[index] = next(stream, None)
        blocks = [block for block in held if block is not None]
        if len(blocks) < len(streams):
            return
        count = min(map(len, blocks))
        yield np.concatenate([block[:count] for block in blocks], axis=2)
        held = [block[count:] for block in blocks]


def converted(values: Samples, dtype: str) -> Samples:
    """Samples in another type, rounded to nearest and clipped where that is one of integers."""
    if values.dtype == dtype:
        return values
    scaled = values.astype(np.float64) * (WHITE[dtype] / WHITE[str(values.dtype)])
    if dtype == "float32":
        return scaled.astype(np.float32)
    return np.clip(np.rint(scaled), 0, WHITE[dtype]).astype(dtype)


def _inverted(values: Samples) -> Samples:
    white: Any = values.dtype.type(WHITE[str(values.dtype)])
    return np.asarray(white - values)


def _constant(alpha: Samples, scale: int, dtype: str) -> Iterator[Samples]:
    height, width = alpha.shape
    value = converted(alpha[:1, :1], dtype)[0, 0]
    for top in range(0, height, BAND):
        yield np.full((scale * min(BAND, height - top), scale * width, 1), value, dtype)


def _bicubic(alpha: Samples, scale: int, dtype: str) -> Iterator[Samples]:
    from PIL import Image

    height, width = alpha.shape
    image = Image.fromarray(np.ascontiguousarray(alpha, dtype=np.float32))
    for top in range(0, height, BAND):
        bottom = min(height, top + BAND)
        # The filter sees rows beyond the box: bands come out as the whole would.
        band = image.resize(
            (scale * width, scale * (bottom - top)), Image.Resampling.BICUBIC, box=(0, top, width, bottom)
        )
        values = np.asarray(band)[..., None] / np.float32(WHITE[str(alpha.dtype)])
        yield converted(values, dtype)
