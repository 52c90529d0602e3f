"""WebP files, still and moving."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from efdn.errors import ImageError
from efdn.pictures.metadata import LONGEST_XMP, orientation_of, sound
from efdn.pictures.picture import Color, Layout, Metadata
from efdn.pictures.pillow_frames import pillow_frames, raise_pillows_limit
from efdn.pictures.stored import MOST_FRAMES, Raster, Shown, Source, Stored, kind_in_words, split_alpha

ALPHA_FLAG = 0x10


@dataclass
class _Chunks:
    """What a WebP's chunks say."""

    width: int = 0
    height: int = 0
    alpha: bool = False
    canvas: bool = False
    loops: int = 1
    durations_ms: list[int] = field(default_factory=list)
    texts: dict[bytes, bytes] = field(default_factory=dict)


def open_webp(source: Source) -> Stored:
    """Reads everything but the pixels.

    Raises:
        ImageError: broken, or too large.
    """
    chunks = _read_chunks(source)
    source.check(chunks.width, chunks.height)
    frames = max(1, len(chunks.durations_ms))
    if frames > MOST_FRAMES:
        raise ImageError(f"{source.path} has {frames} frames: expected at most {MOST_FRAMES}; split it")
    layout = Layout(width=chunks.width, height=chunks.height, color=Color.RGB, alpha=chunks.alpha)
    raw = Metadata(icc_profile=chunks.texts.get(b"ICCP"), exif=chunks.texts.get(b"EXIF"), xmp=chunks.texts.get(b"XMP "))
    metadata, warnings = sound(raw, source)
    moving, pixels = frames > 1, layout.width * layout.height * frames

    def load() -> Raster:
        if chunks.durations_ms:
            return next(play())[0]
        import imagecodecs

        return split_alpha(imagecodecs.webp_decode(source.content(pixels), hasalpha=layout.alpha), layout.alpha)

    def play() -> Iterator[Shown]:
        from PIL.WebPImagePlugin import WebPImageFile

        raise_pillows_limit(layout.width * layout.height)
        image = WebPImageFile(BytesIO(source.content(pixels)))
        return pillow_frames(image, frames, alpha=layout.alpha, durations_ms=chunks.durations_ms)

    return Stored(
        format="WEBP",
        kind=kind_in_words(layout, 8),
        layout=layout,
        bits=8,
        load=load,
        play=play if moving else None,
        metadata=metadata,
        orientation=orientation_of(metadata),
        frames=frames,
        moving=moving,
        loops=chunks.loops,
        warnings=warnings,
    )


def _read_chunks(source: Source) -> _Chunks:
    """Goes through the file from chunk to chunk; the pixels are not read."""
    file, found = source.file, _Chunks()
    size = file.seek(0, 2)
    file.seek(0)
    _, riff_size, _ = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    if riff_size + 8 > size:
        raise ValueError("the file ends before the picture does")
    at, end = 12, riff_size + 8
    while at + 8 <= end and len(found.durations_ms) <= MOST_FRAMES:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        wanted = length if kind in (b"ICCP", b"EXIF", b"XMP ") and length <= LONGEST_XMP else min(length, 32)
        _take(found, kind, file.read(wanted))
        at += 8 + length + length % 2
    return found


def _take(found: _Chunks, kind: bytes, content: bytes) -> None:
    if kind == b"VP8X" and len(content) >= 10:
        found.canvas, found.alpha = True, bool(content[0] & ALPHA_FLAG)
        found.width, found.height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8 " and len(content) >= 10 and not found.canvas:
        found.width, found.height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 6))
    elif kind == b"VP8L" and len(content) >= 5 and not found.canvas:
        (sides,) = struct.unpack_from("<I", content, 1)
        found.width, found.height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
        found.alpha = bool(sides >> 28 & 1)
    elif kind == b"ANIM" and len(content) >= 6:
        (found.loops,) = struct.unpack_from("<H", content, 4)
    elif kind == b"ANMF" and len(content) >= 16:
        found.durations_ms.append(int.from_bytes(content[12:15], "little"))
    elif kind in (b"ICCP", b"EXIF", b"XMP "):
        found.texts.setdefault(kind, content)
