"""Small clips of every kind, and what a file holds, read again."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from engines.video.options import VideoOptions

WIDTH, HEIGHT = 32, 24
QUICK = VideoOptions(preset="ultrafast", threads=1)
STEADY = tuple(range(0, 12 * 512, 512))
"""Times of 12 frames at 25 a second in 1/12800 s."""

ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour
Style: Default,Arial,16,&Hffffff
[Events]
Format: Layer, Start, End, Style, Text
"""
"""What encoders of subtitles want to know."""

Pixels = NDArray[Any]


def repeat4(pixels: Pixels) -> Pixels:
    """A stand-in for a network: every pixel four times along both axes."""
    return pixels.repeat(4, axis=0).repeat(4, axis=1)


class StoppingAt:
    """A network that raises at one frame."""

    def __init__(self, number: int, error: BaseException) -> None:
        self.number, self.error, self.count = number, error, 0

    def __call__(self, frame: Pixels) -> Pixels:
        self.count += 1
        if self.count == self.number:
            raise self.error
        return repeat4(frame)


def moving(count: int, width: int = WIDTH, height: int = HEIGHT, dtype: str = "uint8") -> list[Pixels]:
    """Frames of a soft gradient that moves, so that each differs from the next."""
    top = np.iinfo(dtype).max
    y, x = np.mgrid[:height, :width]
    frames = []
    for at in range(count):
        channels = [np.sin(x / 9 + at / 3), np.cos(y / 7 + at / 5), np.sin((x + y) / 11 - at / 4)]
        frames.append(((np.stack(channels, -1) * 0.4 + 0.5) * top).astype(dtype))
    return frames


def patches(size: int = 32, dtype: str = "uint8") -> Pixels:
    """Black, white, grays, primaries and skin in squares of 16 pixels, (size, size, 3)."""
    colors = [
        (16, 16, 16),
        (240, 240, 240),
        (128, 128, 128),
        (200, 30, 30),
        (30, 180, 40),
        (40, 50, 210),
        (224, 172, 140),
    ]
    picture = np.empty((size, size, 3))
    for at, (y, x) in enumerate(np.ndindex(size // 16, size // 16)):
        picture[16 * y : 16 * y + 16, 16 * x : 16 * x + 16] = colors[at % len(colors)]
    return (picture * (257 if dtype == "uint16" else 1)).astype(dtype)


def set_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Writes a display matrix into the track header of an MP4 file, as phones do."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">i", content, at) == (1 << 16,)
    values = [round(value * (1 << 16)) for value in (a, b, 0, c, d, 0, 0, 0)]
    struct.pack_into(">9i", content, at, *values, 1 << 30)
    path.write_bytes(content)


def write_clip(
    path: Path,
    *,
    pts: Sequence[int] = STEADY,
    time_base: Fraction = Fraction(1, 12_800),
    frames: Sequence[Pixels] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    matrix: str = "bt709",
    color_range: str = "tv",
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    audio: str | None = None,
    audio_begin: int = 0,
    subtitles: Sequence[tuple[int, int, str]] = (),
    subtitle_codec: str = "mov_text",
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Writes a clip.

    Args:
        path: of the file; its ending says the container.
        pts: times of the frames.
        time_base: of `pts`, in seconds.
        frames: (H, W, 3) uint8 or uint16 RGB; `moving` ones if not given.
        codec: of the video.
        pixel_format: of the video.
        matrix: of the video, as FFmpeg's scaler calls it.
        color_range: "tv" or "pc".
        tags: the encoder's options that tag the colour; none if not given.
        options: of the encoder, beyond the quickest.
        aspect: of a pixel.
        audio: codec of a tone as long as the video, if any.
        audio_begin: where it begins, in samples at 48 kHz.
        subtitles: begin and end in milliseconds, and text.
        subtitle_codec: of them.
        container_options: of the container.
        metadata: of the file.
    """
    frames = moving(len(pts)) if frames is None else frames
    height, width = frames[0].shape[:2]
    quick = {"preset": "ultrafast", "crf": "8"} if codec in ("libx264", "libx265") else {}
    quick |= {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=25, options=quick | (tags or {}) | (options or {}))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.thread_count = width, height, pixel_format, 1
        stream.time_base = context.time_base = time_base
        if aspect:
            context.sample_aspect_ratio = aspect
        sound = _add_audio(container, audio) if audio else None
        texts = _add_subtitles(container, subtitle_codec) if subtitles else None
        for pixels, time in zip(frames, pts, strict=True):
            frame = to_yuv(pixels, pixel_format, matrix, color_range)
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_tone(container, sound, audio_begin, float((pts[-1] - pts[0]) * time_base))
        for begin, end, text in subtitles:
            _write_subtitle(container, texts, begin, end, text, subtitle_codec)
    return path


def to_yuv(pixels: Pixels, pixel_format: str, matrix: str, color_range: str) -> Any:
    """A frame of (H, W, 3) RGB, made by FFmpeg's scaler."""
    source = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=source)
    frame.pts, frame.time_base = 0, Fraction(1, 1000)
    flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    return _filtered(frame, f"{flags}:out_color_matrix={matrix}:out_range={color_range}", pixel_format)


def to_rgb(frame: Any, matrix: str, color_range: str, dtype: str = "uint8") -> Pixels:
    """(H, W, 3) of a frame, taken as YUV of that matrix and range."""
    flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    target = "rgb48le" if dtype == "uint16" else "rgb24"
    pixels: Pixels = _filtered(
        frame, f"{flags}:in_color_matrix={matrix}:in_range={color_range}:out_range=pc", target
    ).to_ndarray()
    return pixels


def _filtered(frame: Any, scale: str, pixel_format: str) -> Any:
    graph: Any = av.filter.Graph()
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base="1/1000",
        pixel_aspect="1/1",
    )
    graph.link_nodes(source, graph.add("scale", scale), graph.add("format", pixel_format), graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return graph.pull()


def _add_audio(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=48_000)
    stream.codec_context.layout = "mono"
    stream.metadata["language"] = "deu"
    return stream


def _write_tone(container: Any, stream: Any, begin: int, seconds: float) -> None:
    samples = int(48_000 * (seconds + 0.04))
    tone = (np.sin(np.arange(samples) / 20) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout="mono",
        rate=48_000,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def _add_subtitles(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec)
    stream.codec_context.subtitle_header = ASS_HEADER
    return stream


def _write_subtitle(container: Any, stream: Any, begin: int, end: int, text: str, codec: str) -> None:
    content = text.encode()
    packet = av.Packet(struct.pack(">H", len(content)) + content if codec == "mov_text" else content)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = begin
    packet.duration = end - begin
    container.mux(packet)


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a file holds.

    Attributes:
        pts: times of its frames in its time base.
        time_base: of its video.
        times: of its frames, in seconds.
        frames: decoded.
        packets: (begin in seconds, content) of each stream besides the video, by kind.
        context: of the decoder.
    """

    pts: list[int]
    time_base: Fraction
    times: list[Fraction]
    frames: list[Any]
    packets: dict[str, list[tuple[Fraction, bytes]]]
    context: Any


def read_clip(path: Path) -> Held:
    """Everything in a file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames: list[Any] = []
        packets: dict[str, list[tuple[Fraction, bytes]]] = {}
        for packet in container.demux():
            if packet.stream is video:
                frames += packet.decode()
            elif packet.size and packet.pts is not None:
                packets.setdefault(packet.stream.type, []).append((packet.pts * packet.time_base, bytes(packet)))
        time_base = Fraction(video.time_base or 0)
        return Held(
            pts=[frame.pts for frame in frames],
            time_base=time_base,
            times=[frame.pts * time_base for frame in frames],
            frames=frames,
            packets=packets,
            context=video.codec_context,
        )
