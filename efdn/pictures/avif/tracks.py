"""The tracks of a moving AVIF."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from efdn.pictures.avif.boxes import Box, all_boxes, boxes_in

COLORS, ALPHA = b"pict", b"auxv"
SAMPLE_ENTRY_BYTES = 78
"""Of a visual sample entry, before the boxes in it."""

REPEATED, FOREVER = 1, (2**32 - 1, 2**64 - 1)
MOST_SAMPLES = 200_000


@dataclass(frozen=True, kw_only=True)
class Track:
    """A track of pictures.

    Attributes:
        width: in pixels.
        height: in pixels.
        alpha: whether another track has the opacity of this one.
        loops: how often it is played; 0 is forever.
        durations_ms: of each picture.
        properties: boxes on how its pixels are to be understood.
        chunks: where in the file its pictures begin, some at a time.
    """

    width: int
    height: int
    alpha: bool
    loops: int
    durations_ms: tuple[float, ...]
    properties: tuple[Box, ...] = field(repr=False)
    chunks: tuple[int, ...] = field(repr=False)


def tracks_in(movie: bytes) -> list[Track]:
    """The track of colours, if there is one; chunks are those of all tracks."""
    tracks = [list(all_boxes(box.content)) for box in boxes_in(movie) if box.kind == b"trak"]
    handlers = [_handler(boxes) for boxes in tracks]
    alpha = ALPHA in handlers
    found = [_track(boxes, alpha) for boxes, handler in zip(tracks, handlers, strict=True) if handler == COLORS][:1]
    chunks = tuple(start for boxes in tracks for start in _chunks(boxes))
    return [replace(track, chunks=chunks) for track in found]


def _handler(boxes: list[Box]) -> bytes:
    return next((box.content[8:12] for box in boxes if box.kind == b"hdlr"), b"")


def _track(boxes: list[Box], alpha: bool) -> Track:
    by_kind = {box.kind: box for box in reversed(boxes)}
    width, height = struct.unpack_from(">II", by_kind[b"tkhd"].content[-8:])
    version, _, media = by_kind[b"mdhd"].full()
    (timescale,) = struct.unpack_from(">I", media, 16 if version else 8)
    return Track(
        width=width >> 16,
        height=height >> 16,
        alpha=alpha,
        loops=_loops(by_kind),
        durations_ms=_durations(by_kind[b"stts"], timescale or 1),
        properties=_properties(by_kind[b"stsd"]),
        chunks=_chunks(boxes),
    )


def _chunks(boxes: list[Box]) -> tuple[int, ...]:
    starts: list[int] = []
    for box in boxes:
        code, size = {b"stco": (">I", 4), b"co64": (">Q", 8)}.get(box.kind, ("", 0))
        if code:
            content = box.full()[2]
            starts.extend(struct.unpack_from(code, content, at)[0] for at in range(4, len(content) - size + 1, size))
    return tuple(starts[:MOST_SAMPLES])


def _durations(box: Box, timescale: int) -> tuple[float, ...]:
    _, _, content = box.full()
    durations: list[float] = []
    for at in range(4, len(content) - 7, 8):
        count, ticks = struct.unpack_from(">II", content, at)
        durations.extend([1000 * ticks / timescale] * min(count, MOST_SAMPLES - len(durations)))
    return tuple(durations)


def _properties(box: Box) -> tuple[Box, ...]:
    entry = next(boxes_in(box.full()[2][4:]))
    return tuple(boxes_in(entry.content[SAMPLE_ENTRY_BYTES:]))


def _loops(by_kind: dict[bytes, Box]) -> int:
    """How often it is played: forever where nothing is said, as browsers do."""
    if b"elst" not in by_kind:
        return 0
    version, flags, edits = by_kind[b"elst"].full()
    if not flags & REPEATED:
        return 1
    track_version, _, track = by_kind[b"tkhd"].full()
    (whole,) = struct.unpack_from(">Q", track, 24) if track_version else struct.unpack_from(">I", track, 16)
    (once,) = struct.unpack_from(">Q" if version else ">I", edits, 4)
    return 0 if whole in FOREVER or not once else max(1, round(whole / once))
