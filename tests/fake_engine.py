"""An engine whose results can be worked out by hand."""

from collections.abc import Callable, Mapping

import numpy as np

from efdn.errors import EngineError
from engines.feeds import check_feeds
from engines.protocol import Arrays, Dim, Engine, ModelInfo, TensorSpec, shapes_of


class NearestNeighbour(Engine):
    """A fake that repeats pixels, so that results can be worked out by hand."""

    def __init__(self, scale: int = 4, data_range: float = 255.0, largest: int | None = None) -> None:
        side, upscaled = Dim(13, largest), Dim(13 * scale, None if largest is None else scale * largest)
        batch = Dim(1, None)
        self.name, self.detail = "fake", "repeats pixels"
        self.model = ModelInfo(name="nearest", scale=scale, data_range=data_range)
        self.inputs = (TensorSpec(name="x", dtype="float32", dims=(batch, Dim(3, 3), side, side)),)
        self.outputs = (TensorSpec(name="y", dtype="float32", dims=(batch, Dim(3, 3), upscaled, upscaled)),)
        self.shapes = shapes_of(self.inputs[0])
        self.corrupt: Callable[[np.ndarray], np.ndarray] = lambda y: y
        self.closed = False

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        if self.closed:
            raise EngineError("nearest is closed: open it again")
        check_feeds("nearest", self.inputs, feeds)
        scale = self.model.scale
        return {"y": self.corrupt(feeds["x"].repeat(scale, axis=2).repeat(scale, axis=3))}

    def close(self) -> None:
        self.closed = True
