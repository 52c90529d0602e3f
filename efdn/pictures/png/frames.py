"""The frames of an animated PNG as they are shown, at its full depth."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from efdn.pictures.picture import Pixels
from efdn.pictures.png.chunks import BrokenPngError, Chunk
from efdn.pictures.stored import Raster, Shown

if TYPE_CHECKING:
    from efdn.pictures.png.reading import PngPixels

CLEAR, RESTORE = 1, 2
"""What becomes of a frame's area after it was shown."""

OVER = 1
"""A frame is laid over what is there, rather than in its place."""


@dataclass(kw_only=True)
class _Frame:
    """A frame's control chunk, and where its pixels are."""

    width: int
    height: int
    x: int
    y: int
    duration_ms: float
    disposal: int
    blending: int
    data: list[Chunk] = field(default_factory=list)


def apng_frames(pixels: PngPixels, chunks: tuple[Chunk, ...]) -> Iterator[Shown]:
    """Decodes frame after frame, one in memory at a time. A still picture that is no part of the animation is left out.

    Raises:
        BrokenPngError: a frame is damaged, or lies outside of the picture.
    """
    import numpy as np

    header = pixels.header
    canvas: Pixels | None = None
    for number, frame in enumerate(_frames(pixels, chunks)):
        raster = pixels.decode(frame.width, frame.height, _data(pixels, frame))
        whole = _with_alpha(raster)
        if canvas is None:
            canvas = np.zeros((header.height, header.width, whole.shape[2]), whole.dtype)
        area = canvas[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width]
        before = area.copy() if frame.disposal == RESTORE and number else None
        area[...] = blended(area, whole) if frame.blending == OVER and raster.alpha is not None else whole
        # Without alpha in the file a hole would show black; the first frame fills the picture, so there is none.
        alpha = canvas[..., -1].copy() if raster.alpha is not None else None
        yield Raster(pixels=canvas[..., :-1].copy(), alpha=alpha), frame.duration_ms
        if before is not None:
            area[...] = before
        elif frame.disposal in (CLEAR, RESTORE):
            area[...] = 0


def blended(under: Pixels, over: Pixels) -> Pixels:
    """`over` laid on `under`, both (H, W, C) with straight alpha last, of the same type."""
    import numpy as np

    top = float(np.iinfo(over.dtype).max)
    front, back = over[..., -1:] / top, under[..., -1:] / top
    alpha = front + back * (1 - front)
    mixed = over[..., :-1] * front + under[..., :-1] * (back * (1 - front))
    colors = np.divide(mixed, alpha, out=np.zeros_like(mixed), where=alpha > 0)
    whole: Pixels = np.rint(np.concatenate([colors, alpha * top], axis=-1)).astype(over.dtype)
    return whole


def _frames(pixels: PngPixels, chunks: tuple[Chunk, ...]) -> Iterator[_Frame]:
    frame: _Frame | None = None
    for chunk in chunks:
        if chunk.kind == b"fcTL":
            if frame is not None:
                yield frame
            frame = _control(pixels, chunk)
        elif chunk.kind in (b"IDAT", b"fdAT") and frame is not None:
            frame.data.append(chunk)
    if frame is not None:
        yield frame


def _control(pixels: PngPixels, chunk: Chunk) -> _Frame:
    if chunk.length != 26:
        raise BrokenPngError("its frames are damaged")
    content = pixels.sound_content(chunk)
    width, height, x, y, above, below, disposal, blending = struct.unpack(">4xIIIIHHBB", content)
    if not (width and height and x + width <= pixels.header.width and y + height <= pixels.header.height):
        raise BrokenPngError("a frame lies outside of the picture")
    milliseconds = 1000 * above / (below or 100)
    return _Frame(width=width, height=height, x=x, y=y, duration_ms=milliseconds, disposal=disposal, blending=blending)


def _data(pixels: PngPixels, frame: _Frame) -> Iterator[bytes]:
    for chunk in frame.data:
        content = pixels.sound_content(chunk)
        yield content if chunk.kind == b"IDAT" else content[4:]


def _with_alpha(raster: Raster) -> Pixels:
    import numpy as np

    opaque = np.full(raster.pixels.shape[:2], np.iinfo(raster.pixels.dtype).max, raster.pixels.dtype)
    return np.dstack([raster.pixels, opaque if raster.alpha is None else raster.alpha])
