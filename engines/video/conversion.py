"""Frames of FFmpeg to RGB arrays and back, through FFmpeg's own scaler; its errors become VideoError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import VideoError
from engines.video import libav
from engines.video.color import RGB, ColorTags
from engines.video.libav import AvObject

Pixels = NDArray[Any]
"""(H, W, 3) uint8 in 0..255 or uint16 in 0..65535, RGB."""

FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
"""Chroma interpolated at every pixel, and rounding to nearest: the scaler's defaults trade both for speed."""

ANY_TIME_BASE = Fraction(1, 1000)


class ToRgb:
    """Turns decoded frames into RGB.

    Args:
        color: what the samples stand for.
        width: to which frames are brought, in pixels; a stream may change its size.
        height: to which frames are brought, in pixels.
        deep: whether to give uint16.
    """

    def __init__(self, color: ColorTags, *, width: int, height: int, deep: bool) -> None:
        self._format = "rgb48le" if deep else "rgb24"
        source = "" if color.matrix == RGB else f":in_color_matrix={color.matrix_name}:in_range={color.range_name}"
        self._scale = f"w={width}:h={height}:{FLAGS}{source}:out_range=pc"
        self._graphs: dict[tuple[int, int, str], AvObject] = {}

    def __call__(self, frame: AvObject) -> Pixels:
        """(H, W, 3) of a frame."""
        kind = (frame.width, frame.height, frame.format.name)
        if kind not in self._graphs:
            self._graphs[kind] = _graph(*kind, self._scale, self._format)
        return _array(_through(self._graphs[kind], frame))


class FromRgb:
    """Turns RGB into frames for an encoder.

    Args:
        color: what the samples are to stand for.
        pixel_format: of the frames.
        width: in pixels.
        height: in pixels.
        deep: whether uint16 is given.
    """

    def __init__(self, color: ColorTags, *, pixel_format: str, width: int, height: int, deep: bool) -> None:
        self._format = "rgb48le" if deep else "rgb24"
        target = "" if color.matrix == RGB else f":out_color_matrix={color.matrix_name}:out_range={color.range_name}"
        self._graph = _graph(width, height, self._format, f"{FLAGS}{target}", pixel_format)

    def __call__(self, pixels: Pixels) -> AvObject:
        """A frame of (H, W, 3)."""
        return _through(self._graph, new_frame(pixels, self._format))


class Bicubic:
    """Enlarges RGB with the cubic kernel, as players do.

    Args:
        width: of what is given, in pixels.
        height: of what is given, in pixels.
        target_width: in pixels.
        target_height: in pixels.
        deep: whether uint16 is given.
    """

    def __init__(self, *, width: int, height: int, target_width: int, target_height: int, deep: bool) -> None:
        self._format = "rgb48le" if deep else "rgb24"
        self._graph = _graph(width, height, self._format, f"w={target_width}:h={target_height}:{FLAGS}", self._format)

    def __call__(self, pixels: Pixels) -> Pixels:
        """(target_height, target_width, 3) of (height, width, 3)."""
        return _array(_through(self._graph, new_frame(pixels, self._format)))


def new_frame(pixels: Pixels, pixel_format: str) -> AvObject:
    """A frame of FFmpeg's that holds an array."""
    with _telling(f"{pixels.shape[1]}x{pixels.shape[0]} {pixel_format}"):
        frame = libav.load().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=pixel_format)
    frame.pts, frame.time_base = 0, ANY_TIME_BASE
    return frame


def _graph(width: int, height: int, pixel_format: str, scale: str, target_format: str) -> AvObject:
    """A chain of FFmpeg's filters that scales frames of one kind."""
    size = f"{width}x{height}"
    with _telling(f"{size} {pixel_format}"):
        graph = libav.load().filter.Graph()
        source = graph.add(
            "buffer", video_size=size, pix_fmt=pixel_format, time_base=str(ANY_TIME_BASE), pixel_aspect="1/1"
        )
        graph.link_nodes(source, graph.add("scale", scale), graph.add("format", target_format), graph.add("buffersink"))
        graph.configure()
    return graph


def _through(graph: AvObject, frame: AvObject) -> AvObject:
    with _telling(f"{frame.width}x{frame.height} {frame.format.name}"):
        graph.push(frame)
        return graph.pull()


def _array(frame: AvObject) -> Pixels:
    with _telling(f"{frame.width}x{frame.height} {frame.format.name}"):
        pixels: Pixels = frame.to_ndarray()
    return pixels


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Tells FFmpeg's errors on frames of a kind as VideoError."""
    try:
        yield
    except (libav.ffmpeg_error(), ValueError) as error:
        raise VideoError(
            f"FFmpeg cannot convert frames of {what} ({libav.one_line(error)}): "
            "convert the video first, or choose another pixel format"
        ) from error
