"""Looking at a video: its file, and its first frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from efdn.errors import VideoError
from engines.video import libav
from engines.video.color import UNSPECIFIED, ColorTags, resolved
from engines.video.hdr import dynamic_kinds, read_hdr
from engines.video.libav import AvObject
from engines.video.source_facts import StreamFacts, VideoFacts
from engines.video.turn import MATRIX, UPRIGHT, read_turn

CHROMA = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411", (4, 4): "410"}
"""Names of subsampling by how many pixels share a sample along x and y."""

CAPTIONS = "A53_CC"


def probe_video(path: Path, max_pixels: int | None = None) -> VideoFacts:
    """Looks at a video; only its first frame is decoded.

    Args:
        path: of the video.
        max_pixels: of a frame; larger ones are refused before they are decoded. None is any number.

    Raises:
        MissingExtraError: PyAV is not installed.
        VideoError: missing, unreadable, without video, larger than `max_pixels`, or nothing of it can be decoded.
    """
    with libav.open_source(path) as container:
        stream = main_stream(container, path)
        _check_pixels(path, stream.codec_context, max_pixels)
        frame = _first_frame(container, stream, path)
        _check_pixels(path, frame, max_pixels)  # What the file says need not be what its frames are.
        return _facts(path, container, stream, frame)


def main_stream(container: AvObject, path: Path) -> AvObject:
    """The video stream to upscale: the first that is no cover picture, those meant to be shown first.

    Raises:
        VideoError: there is none.
    """
    videos = [stream for stream in container.streams.video if not libav.is_cover(stream)]
    if not videos:
        what = "only a cover picture" if container.streams.video else "no video stream"
        raise VideoError(f"{path} has {what}: expected a video")
    best = container.streams.best("video")
    chosen = best if best in videos else videos[0]
    if chosen.codec_context is None:
        raise VideoError(f"{path}: no decoder for its video in the FFmpeg that PyAV brings here: convert it first")
    return chosen


def _check_pixels(path: Path, sized: AvObject, max_pixels: int | None) -> None:
    width, height = sized.width, sized.height
    if max_pixels is not None and width * height > max_pixels:
        raise VideoError(
            f"{path} has frames of {width}x{height} pixels, more than the {max_pixels} that are allowed: "
            "raise --max-pixels"
        )


def _first_frame(container: AvObject, stream: AvObject, path: Path) -> AvObject:
    errors = libav.ffmpeg_error()
    frames = _decoded(container, stream)
    try:
        return next(frames)
    except StopIteration:
        raise VideoError(f"{path}: no frame of it can be decoded: get a whole copy") from None
    except errors as error:
        raise VideoError(
            f"{path}: no frame of it can be decoded ({libav.one_line(error)}): get a whole copy"
        ) from error


def _decoded(container: AvObject, stream: AvObject) -> Iterator[AvObject]:
    errors = libav.ffmpeg_error()
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except errors:
            continue


def _facts(path: Path, container: AvObject, stream: AvObject, frame: AvObject) -> VideoFacts:
    side_data = libav.side_data(frame)
    turn = read_turn(side_data.get(MATRIX, b""))
    bits, chroma = describe_format(frame.format)
    aspect = stream.sample_aspect_ratio or None
    if aspect and turn and turn.transpose:
        aspect = 1 / aspect
    facts = VideoFacts(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        index=stream.index,
        time_base=stream.time_base,
        stored_width=frame.width,
        stored_height=frame.height,
        turn=turn or UPRIGHT,
        pixel_aspect=aspect,
        rate=_rate(stream),
        frames=_frame_count(container, stream),
        frames_listed=bool(stream.frames),
        duration_s=_duration(container, stream),
        end_s=_tagged_end(stream),
        pixel_format=frame.format.name,
        bits=bits,
        chroma=chroma,
        color=color_of(stream, frame),
        hdr=read_hdr(side_data),
        interlaced=bool(frame.interlaced_frame),
        others=tuple(_describe(other) for other in container.streams if other.index != stream.index),
    )
    return replace(facts, warnings=tuple(_warnings(facts, frame, side_data, turned=turn is not None)))


def describe_format(pixel_format: AvObject) -> tuple[int, str]:
    """Bits of a sample, and the name of the subsampling or "gray"."""
    bits = max(component.bits for component in pixel_format.components)
    colors = [component for component in pixel_format.components if not component.is_alpha]
    if len(colors) == 1 and not pixel_format.has_palette:
        return bits, "gray"
    shared = 16 // pixel_format.chroma_width(16), 16 // pixel_format.chroma_height(16)
    return bits, CHROMA.get(shared, "444")


def color_of(stream: AvObject, frame: AvObject) -> ColorTags:
    """A frame's tags of colour, with what is missing filled in."""
    context = stream.codec_context
    tags = ColorTags(
        matrix=int(frame.colorspace),
        primaries=int(context.color_primaries or UNSPECIFIED),
        transfer=int(context.color_trc or UNSPECIFIED),
        range=int(frame.color_range),
    )
    rgb = bool(frame.format.is_rgb or frame.format.has_palette)
    return resolved(tags, width=frame.width, height=frame.height, pixel_format=frame.format.name, rgb=rgb)


def _frame_count(container: AvObject, stream: AvObject) -> int | None:
    if stream.frames:
        return int(stream.frames)
    seconds = _duration(container, stream)
    rate = _rate(stream)
    return None if seconds is None or rate is None else max(1, round(seconds * float(rate)))


def _rate(stream: AvObject) -> Fraction | None:
    """Frames a second: of FFmpeg's two guesses either may be the time base's."""
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate]
    return min(rates, default=None)


def _duration(container: AvObject, stream: AvObject) -> float | None:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return _tagged_end(stream) or (container.duration / 1_000_000 if container.duration else None)


def _tagged_end(stream: AvObject) -> float | None:
    """Matroska tells the end of a stream in a tag only, as hours:minutes:seconds."""
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _describe(stream: AvObject) -> StreamFacts:
    kind = "cover" if libav.is_cover(stream) else stream.type
    context = stream.codec_context
    name = context.name if context is not None else getattr(stream, "name", None)
    return StreamFacts(index=stream.index, kind=kind, codec=name or "unknown", language=stream.metadata.get("language"))


def _warnings(facts: VideoFacts, frame: AvObject, side_data: dict[str, bytes], *, turned: bool) -> Iterator[str]:
    if facts.interlaced:
        yield "the video is interlaced: its combs are upscaled as they are, deinterlace it first"
    if any(component.is_alpha for component in frame.format.components):
        yield "the video's transparency is left out"
    if not turned:
        yield "the video's rotation is not by quarters and is left out"
    for kind in dynamic_kinds(side_data):
        yield f"{kind} is left out: it describes frames as they were"
    if CAPTIONS in side_data:
        yield "closed captions within the frames are left out"
    for other in facts.others:
        if other.kind == "video":
            yield f"{other} is left out: only one video stream is upscaled"
