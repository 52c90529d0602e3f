"""Pictures enlarged whole, and looked over as they come."""

from typing import Any

import numpy as np

from efdn.pictures.picture import Picture
from engines.pictures.enlarge import Enlarged, enlarge
from engines.pictures.options import EnlargeOptions
from engines.tiling.options import TileOptions
from tests.inference_samples import Array, FakeEngine

SMALL_TILES = TileOptions(side=48, overlap=8)


def collected(made: Enlarged) -> Array:
    """All rows, once they are as the layout says."""
    blocks = list(made.rows)
    layout = made.layout
    assert all(block.shape[1:] == (layout.width, layout.channels) for block in blocks)
    assert all(len(block) and block.dtype == layout.dtype for block in blocks)
    result = np.concatenate(blocks)
    assert len(result) == layout.height
    return result


def run(engine: FakeEngine, picture: Picture, **options: Any) -> Array:
    """The result of an engine."""
    return collected(enlarge(engine, picture, EnlargeOptions(**options)))
