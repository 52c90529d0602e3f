"""How much an engine will have to do for a picture, so that progress can be told."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from efdn.errors import EfdnError
from efdn.pictures.picture import Color, Layout, Picture
from engines.inference.frame_work import Reel
from engines.inference.wanted import Wanted
from engines.pictures.options import AlphaBy
from engines.pictures.target import becomes_rgb
from engines.protocol import Engine
from engines.tiling.upscaling import plans


def expected_pixels(engine: Engine, loaded: Picture | Reel, wanted: Wanted) -> float:
    """Pixels of tiles that the engine will be given in all; 0 where that cannot be known.

    Tiles become smaller where memory turns out to be short, and see a little more in all then: pixels stay about
    right, the number of tiles would not.

    Args:
        engine: that will do the work.
        loaded: what it will upscale.
        wanted: of the result.
    """
    layout = loaded.layout if isinstance(loaded, Picture) else loaded.header.layout
    picture = np.broadcast_to(np.uint8(0), (layout.height, layout.width, 1))
    with suppress(EfdnError):  # The work itself says so.
        plan = next(plans(engine, picture, wanted.enlarging.tiling), None)
        frames = 1 if isinstance(loaded, Picture) else loaded.header.frames
        runs = _color_runs(layout, wanted) + _alpha_runs(loaded, layout, wanted)
        return 0.0 if plan is None else frames * runs * plan.cost * layout.height * layout.width
    return 0.0


def _color_runs(layout: Layout, wanted: Wanted) -> int:
    return 2 if layout.color is Color.CMYK and not becomes_rgb(layout, wanted.enlarging) else 1


def _alpha_runs(loaded: Picture | Reel, layout: Layout, wanted: Wanted) -> int:
    if not layout.alpha or wanted.enlarging.alpha is not AlphaBy.EFDN:
        return 0
    if not isinstance(loaded, Picture):  # Too many rather than too few: a share that stands at its end says nothing.
        return 1
    alpha = loaded.alpha
    return 0 if alpha is None or bool((alpha == alpha[0, 0]).all()) else 1
