"""Pictures in memory, upscaled by one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ConfigError, ShapeError
from efdn.pictures.picture import Color, Metadata, Picture
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.pictures.enlarge import enlarge
from engines.pictures.options import AlphaBy, EnlargeOptions
from engines.protocol import Engine
from engines.select import AUTO, choose_engine
from engines.tiling.options import DEFAULT_OVERLAP, TileOptions
from engines.tiling.samples import WHITE

if TYPE_CHECKING:
    from PIL.Image import Image

PILLOW_KINDS = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
"""Modes that come out as another one; a palette with a transparent colour as RGBA."""

PILLOW_MODES = {
    "L": (Color.GRAY, False),
    "I;16": (Color.GRAY, False),
    "LA": (Color.GRAY, True),
    "RGB": (Color.RGB, False),
    "RGBA": (Color.RGB, True),
    "CMYK": (Color.CMYK, False),
}


FLOATS_BEYOND = 16
"""Floats larger than that are not meant to have white at 1."""


def open_engine(model: Path | str | None = None, engine: str = AUTO, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens an engine, as `efdn-infer` does. Use it as a context manager, or close it.

    Args:
        model: weights, ONNX file or TensorRT engine; the packaged x4 model without.
        engine: its name, such as "openvino", or "auto" for the best one that runs here.
        options: how it is to run: threads, CUDA graphs, caches.

    Raises:
        UsageError: no engine of that name.
        ModelFileError: the model file is at fault.
        EngineError: what was asked for cannot run here; the message gives reason and remedy.
    """
    return choose_engine(None if model is None else Path(model), engine, options).engine


Given = TypeVar("Given", bound="NDArray[Any] | Image")


def upscale(
    image: Given,
    engine: Engine | None = None,
    *,
    tile: int | None = None,
    overlap: int = DEFAULT_OVERLAP,
    pad: int | None = None,
    alpha: str = "efdn",
    size: str | None = None,
) -> Given:
    """Upscales a picture in memory.

    Args:
        image: an array or a Pillow image. Arrays are (H, W) or (H, W, 1) gray, (H, W, 2) gray with alpha, (H, W, 3) RGB
            or (H, W, 4) RGBA, of uint8 (white 255), uint16 (65535) or floats (1.0). Pillow images are of mode 1, L, LA,
            P, RGB, RGBA, CMYK or I;16; those with an orientation in their EXIF come back upright.
        engine: an open engine; without, the packaged model on the best engine, opened for this call. Open one yourself
            to upscale many.
        tile: longest side of a tile in pixels, 0 for no tiles, None for what memory allows.
        overlap: of tiles, in pixels.
        pad: pixels by which the picture is mirrored outwards first; None is 8.
        alpha: "efdn" or "bicubic", what upscales opacity.
        size: of the result, such as "1920x1080", "1920x" or "50%" (of `image`); None is what the network gives.

    Returns:
        A new picture of the same sort: arrays keep type and channels, Pillow images their mode, ICC profile and
        resolution (scaled); 1-bit images become gray, palettes RGB or RGBA. Floats are not clipped.

    Raises:
        ShapeError: an array of another shape or type, or an image of another mode.
        ConfigError, UsageError: an option out of range.
        EngineError: no engine runs here, or it failed.
    """
    if alpha not in tuple(AlphaBy):
        raise ConfigError(f"alpha must be efdn or bicubic, got {alpha!r}")
    tiling = TileOptions(side=tile, overlap=overlap, pad=pad)
    options = EnlargeOptions(tiling=tiling, alpha=AlphaBy(alpha), size=size)
    if engine is not None and not hasattr(engine, "infer"):
        raise ConfigError(f"expected an open engine, got {engine!r}: open one with open_engine(engine=...)")
    if engine is None:
        with open_engine() as opened:
            return cast("Given", _upscaled(image, opened, options))
    return cast("Given", _upscaled(image, engine, options))


def _upscaled(image: Any, engine: Engine, options: EnlargeOptions) -> Any:
    if isinstance(image, np.ndarray):
        return _array_upscaled(image, engine, options)
    return _image_upscaled(image, engine, options)


def _array_upscaled(image: NDArray[Any], engine: Engine, options: EnlargeOptions) -> NDArray[Any]:
    floats = np.issubdtype(image.dtype, np.floating)
    shaped = image[..., None] if image.ndim == 2 else image
    if (
        shaped.ndim != 3
        or not 1 <= shaped.shape[2] <= 4
        or not shaped.size
        or not (floats or str(image.dtype) in WHITE)
    ):
        raise ShapeError(
            "expected (H, W) or (H, W, 1 to 4) of uint8, uint16 or floats in 0..1, "
            f"got {image.shape} {image.dtype}: pictures lie with their channels last, one at a time"
        )
    if floats and not (np.abs(shaped) <= FLOATS_BEYOND).all():
        raise ShapeError(
            f"expected floats of which 1 is white, got {np.nanmax(shaped):g} among them, or some that are not finite: "
            "divide those of 0..255 by 255"
        )
    picture = _picture(shaped.astype(np.float32) if floats else shaped)
    result = _collected(engine, picture, options).astype(image.dtype, copy=False)
    return result[..., 0] if image.ndim == 2 else result


def _image_upscaled(image: Image, engine: Engine, options: EnlargeOptions) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    if not isinstance(image, Pillow.Image):
        raise ShapeError(f"expected a NumPy array or a Pillow image, got {type(image).__name__}")
    mode = PILLOW_KINDS.get(image.mode, image.mode)
    if "transparency" in image.info and mode in ("L", "RGB"):
        mode = f"{mode}A" if mode == "L" else "RGBA"
    if mode not in PILLOW_MODES:
        modes = ", ".join((*PILLOW_MODES, "1", "P"))
        raise ShapeError(f"expected a Pillow image of mode {modes}, got {image.mode}: convert it")
    upright = ImageOps.exif_transpose(image)
    pixels = np.asarray(upright if mode == upright.mode else upright.convert(mode))
    color, alpha = PILLOW_MODES[mode]
    shaped = pixels[..., None] if pixels.ndim == 2 else pixels
    picture = _picture(shaped, color=color, alpha=alpha, dpi=image.info.get("dpi"))
    result = _collected(engine, picture, options)
    if color is Color.CMYK:  # Which arrays of four channels are not taken for.
        upscaled = Pillow.frombytes("CMYK", (result.shape[1], result.shape[0]), result.tobytes())
    else:
        upscaled = Pillow.fromarray(result[..., 0] if result.shape[2] == 1 else result)
    for name in ("icc_profile", "dpi"):
        if image.info.get(name):
            upscaled.info[name] = image.info[name]
    if image.info.get("dpi"):
        factor = upscaled.width / upright.width
        upscaled.info["dpi"] = tuple(float(value) * factor for value in image.info["dpi"])
    return upscaled


def _picture(
    shaped: NDArray[Any],
    *,
    color: Color | None = None,
    alpha: bool | None = None,
    dpi: tuple[float, float] | None = None,
) -> Picture:
    """(H, W, C) as a picture; without `alpha`, two and four channels are taken to end with it."""
    with_alpha = shaped.shape[2] in (2, 4) if alpha is None else alpha
    colors = shaped[..., :-1] if with_alpha else shaped
    meaning = color or (Color.GRAY if colors.shape[2] == 1 else Color.RGB)
    return Picture(
        pixels=colors, color=meaning, alpha=shaped[..., -1] if with_alpha else None, metadata=Metadata(dpi=dpi)
    )


def _collected(engine: Engine, picture: Picture, options: EnlargeOptions) -> NDArray[Any]:
    """All rows of the result in one array."""
    enlarged = enlarge(engine, picture, options)
    layout = enlarged.layout
    result = np.empty((layout.height, layout.width, layout.channels), picture.pixels.dtype)
    top = 0
    for rows in enlarged.rows:
        result[top : top + len(rows)] = rows
        top += len(rows)
    return result
