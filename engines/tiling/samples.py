"""Between samples of pictures and the numbers that engines take and give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError, ShapeError
from engines.protocol import Engine
from engines.whole import check_shape

Samples = NDArray[Any]

WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""Value of white for each type that samples may have."""

FLAT_FAR = 32
"""Grey levels between a picture's mean and a flat result of it, from which the result cannot be right."""


def run_tile(engine: Engine, tile: Samples) -> Samples:
    """Upscales one tile.

    Args:
        engine: an open engine that takes one picture, as bytes or as floats.
        tile: (H, W, C) uint8, uint16 or float32, white as in `WHITE`; C is 3, or 1 for gray, which goes through the
            network as a gray picture of three channels and comes back as their mean.

    Returns:
        (scale * H, scale * W, C), white 255: uint8 from an engine that gives bytes (and gray float32), else float32,
        neither rounded nor clipped.

    Raises:
        ShapeError: the engine does not take this size.
        EngineError: the engine failed, its output is not finite, or blank, or it takes 8-bit pictures only and these
            are not.
    """
    gray = tile.shape[2] == 1
    picture = np.repeat(tile, 3, axis=2) if gray else tile
    spec = engine.inputs[0]
    x = _bytes_for(engine, picture) if spec.picture else _floats_for(engine, picture)
    check_shape(engine, x)
    (y,) = engine.infer({spec.name: x}).values()
    if engine.outputs[0].picture:
        result: Samples = y[0]
        _check_not_blank(picture, result)
    else:
        result = _checked(y, engine.model.data_range)
    return np.asarray(result.mean(axis=2, keepdims=True, dtype=np.float32)) if gray else result


def to_samples(values: Samples, dtype: str) -> Samples:
    """Results of `run_tile` as samples: scaled, and for integers rounded to nearest, clipped and copied.

    Args:
        values: any shape, white 255.
        dtype: "uint8", "uint16" or "float32".
    """
    if values.dtype == dtype:
        return values if dtype == "uint8" else np.asarray(values / np.float32(255))
    if dtype == "float32":
        return np.asarray(values.astype(np.float32) / np.float32(255))
    # In place on one copy: a picture's rows may be hundreds of megabytes.
    scaled = values * np.float32(WHITE[dtype] / 255)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, WHITE[dtype], out=scaled)
    return np.asarray(scaled.astype(dtype))


def check_depth(engine: Engine, dtype: str) -> None:
    """Raises EngineError unless the engine keeps the depth of such samples."""
    if dtype != "uint8" and (engine.inputs[0].picture or engine.outputs[0].picture):
        raise EngineError(
            f"{engine.model.name} takes and gives 8 bits a sample, this picture has more: "
            "use a model exported with --io float32, or give --bits 8"
        )


def _bytes_for(engine: Engine, picture: Samples) -> Samples:
    check_depth(engine, str(picture.dtype))
    return np.ascontiguousarray(picture[None])


def _floats_for(engine: Engine, picture: Samples) -> Samples:
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32)
    white = WHITE.get(str(picture.dtype))
    if white is None:
        raise ShapeError(f"expected samples of uint8, uint16 or float32, got {picture.dtype}")
    factor = np.float32(engine.model.data_range / white)
    return np.asarray(x if factor == 1 else x * factor)


def _checked(y: Samples, data_range: float) -> Samples:
    """(1, 3, H, W) as (H, W, 3) float32, white 255."""
    image = y[0].astype(np.float32, copy=False).transpose(1, 2, 0)
    if not np.isfinite(image).all():
        raise EngineError(
            "the engine's output has values that are not finite: export with --fp32, or verify the weights"
        )
    return np.asarray(image if data_range == 255 else image * np.float32(255 / data_range))


def _check_not_blank(picture: Samples, upscaled: Samples) -> None:
    """Raises EngineError for a flat result far from a picture's own colour.

    Bytes cannot show that they were not finite before: what overflows in half
    precision comes out black, or white.
    """
    sparse = upscaled[::16, ::16]
    if not (sparse == sparse[0, 0]).all() or not (upscaled == upscaled[0, 0]).all():
        return
    if np.abs(picture.mean(axis=(0, 1)) - upscaled[0, 0]).max() > FLAT_FAR:
        raise EngineError(
            "the engine's output is one flat colour that the picture does not have, as where numbers overflow: "
            "build the engine with --fp32, or with --keep-fp32; 'efdn-export trt --report DIR' names what overflows"
        )
