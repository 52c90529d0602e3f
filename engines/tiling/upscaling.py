"""Upscales a picture with tiles as large as memory allows."""

from __future__ import annotations

from collections.abc import Iterator

from efdn.errors import OutOfMemoryError, UsageError
from engines.protocol import Engine
from engines.tiling.memory import sides_to_try
from engines.tiling.options import DEFAULT_TILING, TileOptions
from engines.tiling.plan import TilePlan, plan_tiles
from engines.tiling.rows import tiled_rows
from engines.tiling.samples import Samples


def upscaled_rows(
    engine: Engine, pixels: Samples, options: TileOptions = DEFAULT_TILING, dtype: str | None = None
) -> Iterator[Samples]:
    """Upscales a picture of any size, in tiles where it is large. Too little memory leads to smaller tiles.

    Args:
        engine: an open engine.
        pixels: (H, W, C), C 1 or 3; uint8, uint16 or float32 with white 255, 65535 or 1.
        options: how it is cut.
        dtype: of the result, likewise; that of `pixels` if None.

    Yields:
        (n, scale * W, C), from top to bottom.

    Raises:
        UsageError: tiles of a size that the engine takes have no room for padding and overlap.
        OutOfMemoryError: even the smallest tiles are too large.
        EngineError: see `samples.run_tile`.
    """
    failure: OutOfMemoryError | MemoryError | None = None
    for plan in plans(engine, pixels, options):
        rows = tiled_rows(engine, pixels, plan, str(pixels.dtype) if dtype is None else dtype)
        try:
            first = next(rows)
        except (OutOfMemoryError, MemoryError) as error:
            failure = error
            continue
        yield first
        yield from rows
        return
    raise failure or UsageError("no size of tile was tried: give --tile")


def plans(engine: Engine, pixels: Samples, options: TileOptions) -> Iterator[TilePlan]:
    """Plans worth trying, the best first."""
    side = (pixels.shape[0], pixels.shape[1])
    before: TilePlan | None = None
    for longest in sides_to_try(engine) if options.side is None else (options.side,):
        try:
            plan = plan_tiles(engine, side, options, longest)
        except UsageError:
            if before is None:
                raise
            return
        if plan != before:
            yield plan
        before = plan
