"""A picture through an engine in one go."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.config import MIN_SIDE
from efdn.errors import ConfigError, EngineError, ShapeError
from engines.protocol import Engine

Pixels = NDArray[np.uint8]

BAND = 64
"""Rows of a result that are converted at once."""


def upscale(engine: Engine, pixels: Pixels, *, pad: int = 0) -> Pixels:
    """Upscales one picture.

    Pictures smaller than the network takes are mirrored up to that size and the
    result is cropped, so that any size from 1x1 works.

    Args:
        engine: an open engine that takes one picture, as bytes or as floats.
        pixels: (H, W, 3) uint8, RGB.
        pad: pixels by which the picture is mirrored outwards on each side before the network, and the result
            cropped after it: what the network does at borders then lies outside.

    Returns:
        (scale * H, scale * W, 3) uint8, rounded to nearest and clipped.

    Raises:
        ConfigError: `pad` is negative.
        ShapeError: the engine does not take this size.
        EngineError: the engine failed, or its output is not finite, or blank.
    """
    height, width = pixels.shape[:2]
    spec, data_range = engine.inputs[0], engine.model.data_range
    padded = pad_to_minimum(mirror_outwards(pixels, pad), engine.model.smallest_side)
    x = np.ascontiguousarray(padded[None]) if spec.picture else to_network(padded, data_range)
    check_shape(engine, x, pad=pad)
    (y,) = engine.infer({spec.name: x}).values()
    scale = engine.model.scale
    if engine.outputs[0].picture:
        upscaled: Pixels = y[0]
        _check_not_blank(padded, upscaled)
    else:
        upscaled = to_pixels(y, data_range)
    first = scale * pad
    return upscaled[first : first + scale * height, first : first + scale * width]


def _check_not_blank(pixels: Pixels, upscaled: Pixels) -> None:
    """Raises EngineError for a flat result of a picture that is not flat.

    Bytes cannot show that they were not finite before: what overflows in half
    precision comes out black, or white.
    """
    sparse = upscaled[::16, ::16]
    if (sparse == sparse[0, 0]).all() and (upscaled == upscaled[0, 0]).all() and not (pixels == pixels[0, 0]).all():
        raise EngineError(
            "the engine's output is one flat colour although the picture is not, as where numbers overflow: "
            "build the engine with --fp32, or with --keep-fp32; 'efdn-export trt --report DIR' names what overflows"
        )


def mirror_outwards(pixels: Pixels, pad: int) -> Pixels:
    """Mirrors a picture over its edges, the outermost rows and columns included.

    Args:
        pixels: (H, W, 3) uint8.
        pad: rows and columns to add on each side; more than the picture has are mirrored back and forth.

    Returns:
        (H + 2 * pad, W + 2 * pad, 3) uint8; the picture itself where `pad` is 0.

    Raises:
        ConfigError: `pad` is negative.
    """
    if pad < 0:
        raise ConfigError(f"pad must be at least 0 pixels, got {pad}")
    return np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric") if pad else pixels


def pad_to_minimum(pixels: Pixels, least: int = MIN_SIDE) -> Pixels:
    """Mirrors rows and columns beyond the lower and right edges until both sides have `least` pixels."""
    height, width = pixels.shape[:2]
    missing = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
    return np.pad(pixels, missing, mode="symmetric") if any(map(sum, missing)) else pixels


def to_network(pixels: Pixels, data_range: float) -> NDArray[np.float32]:
    """(H, W, 3) uint8 as (1, 3, H, W) float32 in 0..data_range."""
    x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)
    return x if data_range == 255 else x * np.float32(data_range / 255)


def to_pixels(y: NDArray[Any], data_range: float) -> Pixels:
    """(1, 3, H, W) in 0..data_range as (H, W, 3) uint8: scaled, rounded to nearest, clipped.

    Raises:
        EngineError: a value is not finite.
    """
    values = y[0]
    result: Pixels = np.empty((*values.shape[1:], values.shape[0]), np.uint8)
    for top in range(0, len(result), BAND):
        # A band at a time: copies of the whole would take as much memory as the engine's output once more.
        band = values[:, top : top + BAND].astype(np.float32)
        if not np.isfinite(band).all():
            raise EngineError(
                "the engine's output has values that are not finite: export with --fp32, or verify the weights"
            )
        if data_range != 255:
            band *= np.float32(255 / data_range)
        np.rint(band, out=band)
        np.clip(band, 0, 255, out=band)
        result[top : top + BAND] = band.transpose(1, 2, 0)
    return result


def check_shape(engine: Engine, x: NDArray[Any], *, pad: int = 0) -> None:
    """Raises ShapeError unless the engine's first input takes an array of this shape, `pad` pixels a side in it."""
    spec = engine.inputs[0]
    dims = spec.dims
    if len(dims) == x.ndim and all(dim.accepts(size) for dim, size in zip(dims, x.shape, strict=True)):
        return
    takes = "x".join(str(dims[axis]) for axis in spec.side_axes)
    height, width = (x.shape[axis] for axis in spec.side_axes)
    with_padding = f" with {pad} pixels of padding on each side" if pad else ""
    raise ShapeError(
        f"{engine.model.name} takes pictures of {takes} (height x width), this one has {height}x{width}{with_padding}: "
        "export with that --shape, or use a model with dynamic shapes"
    )
