"""Bicubic enlargement as an engine: what a network is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError
from efdn.files import read_bytes
from engines.feeds import check_feeds
from engines.graphs import model_info, onnx_details
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import INPUT, OUTPUT, Arrays, Dim, Engine, ModelInfo, TensorSpec, shapes_of

NAME = "bicubic"
REACH = 2
"""Pixels on each side that the kernel looks at."""


def open_bicubic(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Bicubic enlargement by the scale of an ONNX file, to be compared with what that file computes.

    Raises:
        ModelFileError: not a readable ONNX file of this toolkit.
    """
    details = onnx_details(read_bytes(model), model.name)
    return BicubicEngine(model_info(details.metadata, model.name).scale)


class BicubicEngine(Engine):
    """Enlarges floats by Pillow's cubic kernel (a = -0.5), edges repeated outwards. Safe from any thread.

    Takes (N, 3, H, W) float32 of any range and size, gives (N, 3, scale * H, scale * W) float32, not clipped.

    Args:
        scale: times as large, 1 or more.
    """

    def __init__(self, scale: int) -> None:
        self.name = NAME
        self.detail = "Pillow"
        self.model = ModelInfo(name=NAME, scale=scale, data_range=255.0, smallest_side=1)
        side, large, batch, colors = Dim(1, None), Dim(scale, None), Dim(1, None), Dim(3, 3)
        self.inputs = (TensorSpec(name=INPUT, dtype="float32", dims=(batch, colors, side, side)),)
        self.outputs = (TensorSpec(name=OUTPUT, dtype="float32", dims=(batch, colors, large, large)),)
        self.shapes = shapes_of(self.inputs[0])
        self._closed = False

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        if self._closed:
            raise EngineError(f"{NAME} is closed: open it again")
        check_feeds(NAME, self.inputs, feeds)
        pictures = [np.stack([self._enlarged(plane) for plane in planes]) for planes in feeds[INPUT]]
        return {OUTPUT: np.stack(pictures)}

    def close(self) -> None:
        self._closed = True

    def _enlarged(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        from PIL import Image

        height, width = plane.shape
        wide = Image.fromarray(np.pad(plane, REACH, mode="edge"))
        size = (self.model.scale * width, self.model.scale * height)
        box = (REACH, REACH, width + REACH, height + REACH)
        return np.asarray(wide.resize(size, Image.Resampling.BICUBIC, box=box))
