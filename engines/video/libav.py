"""PyAV, and what differs between its releases: nothing else imports it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from efdn.errors import VideoError
from efdn.extras import import_extra
from efdn.files import reason_of

AvObject = Any
"""A container, stream, packet, frame or codec of PyAV, whose types change from release to release."""

HYBRID_MP4_SINCE = (62, 12)
"""libavformat that first writes a valid header with hybrid_fragmented and delay_moov together (FFmpeg 8.1)."""

ATTACHED_PICTURE = 0x400
"""Disposition of a stream that is a single picture."""

NOT_VIDEOS = ("image2", "tty", "lavfi")
"""Readers of FFmpeg that also take pictures and plain text for video."""


def load() -> Any:
    """The module `av`.

    Raises:
        MissingExtraError: it is not installed.
    """
    return import_extra("av", "video", "Upscaling video")


def ffmpeg_error() -> type[Exception]:
    """What PyAV raises for errors of FFmpeg."""
    kind: type[Exception] = load().FFmpegError
    return kind


def one_line(error: BaseException) -> str:
    """FFmpeg's reason in one line."""
    if isinstance(error, OSError) and error.errno is not None and 0 < error.errno < 1000:
        return os.strerror(error.errno).lower()
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).lower()


def open_source(path: Path) -> AvObject:
    """Opens a file for reading; it is to be closed.

    Raises:
        VideoError: missing, unreadable, or nothing that FFmpeg knows as video.
    """
    av = load()
    if path.is_dir():
        raise VideoError(f"{path} is a folder: expected one video file")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise VideoError(f"no file {path}: expected a video") from None
    except OSError as error:
        raise VideoError(f"cannot read {path}: {reason_of(error)}") from error
    try:
        # The prefix keeps names such as "a:b.mp4" from being taken for a protocol.
        # Tags may be in any encoding. Since release 19 that is seen to.
        replacing = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
        container = av.open(f"file:{path}", **replacing)
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"{path} is not a video, or is broken ({one_line(error)}): get a whole copy") from error
    name = container.format.name
    if name in NOT_VIDEOS or name.endswith("_pipe"):
        container.close()
        raise VideoError(f"{path} is not a video: expected MP4, MOV, Matroska, WebM or another video file")
    return container


def open_target(file: BinaryIO, format_name: str, options: Mapping[str, str]) -> AvObject:
    """Begins a container.

    Args:
        file: to write into.
        format_name: FFmpeg's name of the container.
        options: of the container.
    """
    return load().open(file, "w", format=format_name, container_options=dict(options))


def codecs_held_by(format_name: str) -> set[str]:
    """Names of encoders and decoders whose streams a container holds."""
    with load().open(os.devnull, "w", format=format_name) as container:
        held: set[str] = container.supported_codecs
    return held


def pixel_formats_of(encoder: str) -> tuple[str, ...] | None:
    """Pixel formats that an encoder takes, or None where this FFmpeg lacks it."""
    av = load()
    try:
        codec = av.Codec(encoder, "w")
    except ValueError:
        return None
    return tuple(pixel_format.name for pixel_format in codec.video_formats or ())


def pixel_format_of(name: str) -> AvObject:
    """The description of a pixel format.

    Raises:
        VideoError: there is none of this name.
    """
    try:
        return load().VideoFormat(name)
    except ValueError:
        raise VideoError(
            f"no pixel format {name}: expected a name of FFmpeg's, such as yuv420p or yuv420p10le"
        ) from None


def copied_stream(container: AvObject, template: AvObject) -> AvObject:
    """Adds a stream to a target whose packets are taken as they are from another file's."""
    if template.type == "attachment":
        return container.add_attachment(template.name or "attachment", template.mimetype or "", template.data)
    if is_cover(template):
        name, kind = ("cover.png", "image/png") if template.codec_context.name == "png" else ("cover.jpg", "image/jpeg")
        tags = template.metadata
        return container.add_attachment(tags.get("filename", name), tags.get("mimetype", kind), _first_packet(template))
    # Without it encoders are looked for, and some streams have none; before release 14.3 there is no such argument.
    known = "opaque" in (container.add_stream_from_template.__doc__ or "")
    stream = container.add_stream_from_template(template, **({"opaque": True} if known else {}))
    stream.metadata.update(template.metadata)
    set_disposition(stream, template)
    return stream


def _first_packet(stream: AvObject) -> bytes:
    """Content of a cover picture."""
    return next((bytes(packet) for packet in stream.container.demux(stream) if packet.size), b"")


def set_disposition(stream: AvObject, template: AvObject) -> None:
    """Carries over what a stream is for: default, forced, cover picture. Not told by releases before 14.2."""
    flags = _disposition(template)
    if flags is not None:
        stream.disposition = flags


def is_cover(stream: AvObject) -> bool:
    """Whether a video stream is a single picture, such as an album's cover."""
    flags = _disposition(stream)
    return stream.type == "video" and flags is not None and bool(flags & ATTACHED_PICTURE)


def _disposition(stream: AvObject) -> int | None:
    found = getattr(stream, "disposition", None)
    return None if found is None else int(getattr(found, "value", found))


def copy_chapters(container: AvObject, source: AvObject) -> None:
    """Carries chapters over, where this PyAV knows of them."""
    if hasattr(source, "chapters") and hasattr(container, "set_chapters"):
        chapters = source.chapters()
        if chapters:
            container.set_chapters(chapters)


def side_data(frame: AvObject) -> dict[str, bytes]:
    """What comes with a frame besides its pixels, by FFmpeg's names; empty where PyAV does not know a kind in it."""
    try:
        found = frame.side_data
        # Since release 19 its kinds are iterated over, before that its entries.
        entries = [entry if hasattr(entry, "type") else found[entry] for entry in found]
        return {entry.type.name: bytes(entry) for entry in entries}
    except (ValueError, KeyError):
        return {}


def fragments_mp4_whole() -> bool:
    """Whether MP4 can be written in fragments that become an ordinary file at the end."""
    version: tuple[int, ...] = vars(load())["library_versions"]["libavformat"]
    return version[:2] >= HYBRID_MP4_SINCE


def is_raw_aac(stream: AvObject) -> bool:
    """Whether AAC comes with a header in every packet, as in MPEG-TS, rather than with one for all of it."""
    context = stream.codec_context
    return context is not None and context.name == "aac" and not context.extradata


def copies_attachments() -> bool:
    """Whether this PyAV can write attachments, such as fonts."""
    return hasattr(load().container.OutputContainer, "add_attachment")
