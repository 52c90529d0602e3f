"""How far a picture in tiles is from the picture whole, through the same engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from efdn.errors import UsageError
from efdn.shapes import Side
from engines.protocol import Engine, StagedEngine
from engines.tiling.memory import HOST_BYTES_A_PIXEL, SHARE, free_bytes, sides_to_try
from engines.tiling.options import DEFAULT_PAD, DEFAULT_TILING, TileOptions
from engines.tiling.plan import TilePlan, plan_tiles, untiled
from engines.tiling.rows import tiled_rows
from engines.tiling.samples import Samples, to_samples

BAND = 16
"""Width of the border band, in pixels of the small picture."""

OVERLAPS = (8, 12, 16, 24, 32)
WHOLE_SIDE = 1024
"""Of pictures upscaled whole where nothing says how much memory there is."""


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far two results are apart.

    Attributes:
        psnr_db: before rounding, white 255; infinite for equal ones.
        largest: difference before rounding, in grey levels.
        levels: largest difference of the 8-bit results.
    """

    psnr_db: float
    largest: float
    levels: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; PSNR of equal results is None."""
        return {**vars(self), "psnr_db": None if math.isinf(self.psnr_db) else self.psnr_db}


@dataclass(frozen=True, kw_only=True)
class TileError:
    """What tiles change.

    Attributes:
        overlap: of tiles, in pixels.
        tile: height and width of a tile.
        tiles: how many there were.
        cost: how many times the picture's pixels were computed.
        interior: how far results are apart, without the border band.
        border: the same in the outermost `BAND` pixels of the picture.
    """

    overlap: int
    tile: Side
    tiles: int
    cost: float
    interior: Distance
    border: Distance

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "interior": self.interior.to_json(), "border": self.border.to_json()}


def verify_tiles(
    engine: Engine,
    pixels: Samples,
    options: TileOptions = DEFAULT_TILING,
    overlaps: Sequence[int] = OVERLAPS,
) -> Iterator[TileError]:
    """Upscales a picture whole and in tiles.

    Args:
        engine: an open engine that takes the picture whole.
        pixels: (H, W, 3) uint8 or uint16, see `middle_that_fits`.
        options: how the picture is cut; its overlap is measured too.
        overlaps: to measure.

    Yields:
        The error at each overlap that tiles have room for.

    Raises:
        UsageError: the engine does not take it whole, or it is so small that tiles do not cut it.
    """
    side, longest = (pixels.shape[0], pixels.shape[1]), longest_tile(engine, options)
    usual = plan_tiles(engine, side, options, longest)
    if usual.count == 1:
        raise UsageError(
            f"a picture of {side[0]}x{side[1]} (height x width) is one tile of {usual.tile[0]}x{usual.tile[1]}: "
            "give a larger one, or a smaller --tile"
        )
    whole = _floats(engine, pixels, plan_tiles(engine, side, untiled(options), max(side)))
    for overlap in sorted({*overlaps, options.overlap}):
        try:
            plan = plan_tiles(engine, side, replace(options, overlap=overlap), longest)
        except UsageError:
            continue  # Tiles have no room for so much, which nobody asked for by name.
        yield TileError(
            overlap=overlap,
            tile=plan.tile,
            tiles=plan.count,
            cost=plan.cost,
            **_distances(whole, _floats(engine, pixels, plan), engine.model.scale * BAND),
        )


def longest_tile(engine: Engine, options: TileOptions) -> int:
    """Side of the tiles that would be tried first."""
    return options.side or next(iter(sides_to_try(engine)))


def middle_that_fits(engine: Engine, pixels: Samples) -> Samples:
    """The middle of a picture, as much of it as the engine takes whole and the free memory has room for."""
    free = engine.device_memory().free if isinstance(engine, StagedEngine) else free_bytes()
    most = WHOLE_SIDE**2 if free is None else int(SHARE * free / HOST_BYTES_A_PIXEL)
    height, width = pixels.shape[:2]
    share = min(1.0, math.sqrt(most / (height * width)))
    rows, columns = max(1, int(share * height)), max(1, int(share * width))
    largest = [shapes.max for shapes in engine.shapes if shapes.max is not None]
    if len(largest) == len(engine.shapes):
        room = max(largest, key=lambda side: side[0] * side[1])
        rows, columns = min(rows, room[0] - 2 * DEFAULT_PAD), min(columns, room[1] - 2 * DEFAULT_PAD)
    if (rows, columns) == (height, width):
        return pixels
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def _floats(engine: Engine, pixels: Samples, plan: TilePlan) -> Samples:
    """The result before rounding, white 255."""
    return np.asarray(np.concatenate(list(tiled_rows(engine, pixels, plan, "float32"))) * np.float32(255))


def _distances(whole: Samples, tiled: Samples, band: int) -> dict[str, Distance]:
    inside = np.zeros(whole.shape[:2], bool)
    inside[band:-band, band:-band] = True
    return {"interior": _distance(whole[inside], tiled[inside]), "border": _distance(whole[~inside], tiled[~inside])}


def _distance(whole: Samples, tiled: Samples) -> Distance:
    if not whole.size:
        return Distance(psnr_db=math.inf, largest=0.0, levels=0)
    difference = tiled.astype(np.float64) - whole
    error = float(np.mean(difference**2))
    levels = np.abs(to_samples(tiled, "uint8").astype(int) - to_samples(whole, "uint8"))
    return Distance(
        psnr_db=math.inf if error == 0 else 10 * math.log10(255**2 / error),
        largest=float(np.abs(difference).max()),
        levels=int(levels.max()),
    )
