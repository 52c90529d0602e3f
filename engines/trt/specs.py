"""What an engine's tensors take and give."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from efdn.shapes import ShapeRange
from efdn.sidecar import Sidecar
from engines.protocol import PICTURE_DTYPE, Dim, TensorSpec


def tensor_spec(trt: ModuleType, engine: Any, name: str, sidecar: Sidecar, scale: int) -> TensorSpec:
    """What all profiles together span; `infer` refuses what falls between them.

    Args:
        trt: the TensorRT module.
        engine: of that module.
        name: of the tensor.
        sidecar: what the engine is.
        scale: how much larger than the input's the tensor's sides are.
    """
    dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
    sides = [_span(sidecar.shapes, axis, scale) for axis in (0, 1)]
    batch, colours = Dim(1, sidecar.batch), Dim(3, 3)
    dims = (batch, *sides, colours) if dtype == PICTURE_DTYPE else (batch, colours, *sides)
    return TensorSpec(name=name, dtype=dtype, dims=dims)


def _span(shapes: tuple[ShapeRange, ...], axis: int, scale: int) -> Dim:
    largest = [None if shape.max is None else shape.max[axis] for shape in shapes]
    bounded = [scale * side for side in largest if side is not None]
    low = scale * min(shape.min[axis] for shape in shapes)
    return Dim(low, max(bounded) if len(bounded) == len(shapes) else None)
