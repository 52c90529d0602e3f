"""Bicubic enlargement as an engine: what a network is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.shapes import ShapeRange
from engines.protocol import INPUT, OUTPUT, Arrays, Dim, Engine, ModelInfo, TensorSpec

NAME = "bicubic"
REACH = 2
"""Pixels on each side that the kernel looks at."""


class BicubicEngine(Engine):
    """Enlarges floats by Pillow's cubic kernel (a = -0.5), edges repeated outwards. Safe from any thread.

    Takes (1, 3, H, W) float32 of any range and size, gives (1, 3, scale * H, scale * W) float32, not clipped.

    Args:
        scale: times as large, 1 or more.
    """

    def __init__(self, scale: int) -> None:
        self.name = NAME
        self.detail = "Pillow"
        self.model = ModelInfo(name=NAME, scale=scale, data_range=255.0, smallest_side=1)
        side, large = Dim(1, None), Dim(scale, None)
        self.inputs = (TensorSpec(name=INPUT, dtype="float32", dims=(Dim(1, 1), Dim(3, 3), side, side)),)
        self.outputs = (TensorSpec(name=OUTPUT, dtype="float32", dims=(Dim(1, 1), Dim(3, 3), large, large)),)
        self.shapes = (ShapeRange(min=(1, 1), opt=(1, 1), max=None),)

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        planes = feeds[INPUT][0]
        return {OUTPUT: np.stack([self._enlarged(plane) for plane in planes])[None]}

    def _enlarged(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        from PIL import Image

        height, width = plane.shape
        wide = Image.fromarray(np.pad(plane, REACH, mode="edge"))
        size = (self.model.scale * width, self.model.scale * height)
        box = (REACH, REACH, width + REACH, height + REACH)
        return np.asarray(wide.resize(size, Image.Resampling.BICUBIC, box=box))
