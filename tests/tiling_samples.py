"""Pictures through engines tile by tile, in one array."""

import numpy as np
from hypothesis import assume

from efdn.errors import UsageError
from engines.tiling.options import TileOptions
from engines.tiling.upscaling import upscaled_rows
from tests.inference_samples import Array, FakeEngine


def upscaled(engine: FakeEngine, pixels: Array, options: TileOptions, dtype: str | None = None) -> Array:
    """All rows in one array; what is refused says nothing here."""
    try:
        blocks = list(upscaled_rows(engine, pixels, options, dtype))
    except UsageError:
        assume(False)
        raise
    assert all(len(block) for block in blocks)
    return np.concatenate(blocks)
