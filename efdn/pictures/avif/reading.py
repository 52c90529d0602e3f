"""AVIF files, still and moving, of 8, 10 and 12 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from efdn.errors import ImageError
from efdn.pictures.avif.boxes import (
    Box,
    boxes_in,
    extents_of,
    items_in,
    primary_item,
    properties_of,
    top_boxes,
)
from efdn.pictures.avif.pixels import shown_frames, still
from efdn.pictures.avif.sequence import coded_sizes
from efdn.pictures.avif.tracks import Track, tracks_in
from efdn.pictures.metadata import LONGEST_XMP, sound
from efdn.pictures.picture import Color, Layout, Metadata
from efdn.pictures.stored import MOST_FRAMES, Raster, Shown, Source, Stored, kind_in_words

ALPHA_KINDS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")

ORIENTATIONS = {
    (0, None): 1, (0, 1): 2, (0, 0): 4, (1, None): 8, (1, 0): 5, (1, 1): 7,
    (2, None): 3, (2, 0): 2, (2, 1): 4, (3, None): 6, (3, 0): 7, (3, 1): 5,
}  # fmt: skip
"""EXIF's orientation for quarter turns to the left, and then for mirroring: 0 upside down, 1 left to right."""

STREAM_HEAD, SMALL_STREAM = 4096, 1 << 20
"""Bytes of a stream in which its size is looked for, and pixels that it may have whatever the limit: tiles of a small
picture reach beyond it."""

UNSPECIFIED, BT709, SRGB_CURVE = 2, 1, 13


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What the properties of a picture say."""

    width: int
    height: int
    bits: int
    gray: bool
    alpha: bool
    orientation: int
    icc_profile: bytes | None
    png_chunks: tuple[tuple[bytes, bytes], ...]


def open_avif(source: Source) -> Stored:
    """Reads everything but the pixels.

    Raises:
        ImageError: broken, or too large.
    """
    boxes = top_boxes(source.file)
    meta = boxes[b"meta"].full()[2] if b"meta" in boxes else b""
    tracks = tracks_in(boxes[b"moov"].content) if b"moov" in boxes else []
    moving = boxes[b"ftyp"].content[:4] == b"avis" and bool(tracks)
    look = _look(source, meta, tracks if moving else [])
    layout = Layout(
        width=look.width,
        height=look.height,
        color=Color.GRAY if look.gray else Color.RGB,
        alpha=look.alpha,
        bits=8 if look.bits == 8 else 16,
    )
    _check_streams(source, meta, tracks)
    metadata, warnings = sound(_metadata(source, meta, look), source)
    durations = tracks[0].durations_ms if moving else (0.0,)
    if len(durations) > MOST_FRAMES:
        raise ImageError(f"{source.path} has {len(durations)} frames: expected at most {MOST_FRAMES}; split it")

    def load() -> Raster:
        return next(play())[0] if moving else still(source, boxes, look.bits, layout)

    def play() -> Iterator[Shown]:
        return shown_frames(source, boxes, look.bits, layout, durations)

    return Stored(
        format="AVIF",
        kind=kind_in_words(layout, look.bits),
        layout=layout,
        bits=look.bits,
        load=load,
        play=play if len(durations) > 1 else None,
        metadata=metadata,
        orientation=look.orientation,
        frames=len(durations),
        moving=len(durations) > 1,
        loops=tracks[0].loops if moving else 1,
        warnings=warnings,
    )


def _look(source: Source, meta: bytes, tracks: list[Track]) -> _Look:
    everything, own = properties_of(meta, primary_item(meta))
    if tracks:
        everything = own = list(tracks[0].properties)
    by_kind = {box.kind: box.content for box in reversed(everything)} | {box.kind: box.content for box in reversed(own)}
    sides = [struct.unpack_from(">II", box.content, 4) for box in everything if box.kind == b"ispe"]
    for width, height in [*sides, *((track.width, track.height) for track in tracks)]:
        source.check(width, height)
    width, height = (tracks[0].width, tracks[0].height) if tracks else struct.unpack_from(">II", by_kind[b"ispe"], 4)
    depth = by_kind[b"av1C"][2]
    turns = by_kind[b"irot"][0] & 3 if b"irot" in by_kind else 0
    mirrored = by_kind[b"imir"][0] & 1 if b"imir" in by_kind else None
    alpha = any(box.kind == b"auxC" and box.content[4:].startswith(ALPHA_KINDS) for box in everything)
    profile, chunks = _colors([box for box in own or everything if box.kind == b"colr"])
    return _Look(
        width=width,
        height=height,
        bits=12 if depth & 0x60 == 0x60 else 10 if depth & 0x40 else 8,
        gray=bool(depth & 0x10),
        alpha=alpha or any(track.alpha for track in tracks),
        orientation=ORIENTATIONS[turns, mirrored],
        icc_profile=profile,
        png_chunks=chunks,
    )


def _colors(boxes: list[Box]) -> tuple[bytes | None, tuple[tuple[bytes, bytes], ...]]:
    """The colour profile, and unusual primaries and transfer curves as PNG's chunk cICP says them."""
    profile: bytes | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    for content in (box.content for box in boxes):
        if content[:4] in (b"prof", b"rICC"):
            profile = content[4:] or None
        elif content[:4] == b"nclx" and len(content) >= 10:
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            plain = primaries in (BT709, UNSPECIFIED) and transfer in (SRGB_CURVE, UNSPECIFIED)
            if not plain and max(primaries, transfer) < 256:
                chunks = ((b"cICP", bytes((primaries, transfer, 0, 1))),)
    return profile, chunks


def _metadata(source: Source, meta: bytes, look: _Look) -> Metadata:
    exif = xmp = None
    for item in items_in(meta):
        if item.kind == b"Exif" and exif is None:
            content = _item_content(source, meta, item.number)
            # Four bytes say how far off the TIFF structure is.
            exif = content[4 + int.from_bytes(content[:4], "big") :]
        elif item.content_type == b"application/rdf+xml" and xmp is None:
            xmp = _item_content(source, meta, item.number)
    return Metadata(icc_profile=look.icc_profile, exif=exif, xmp=xmp, png_chunks=look.png_chunks)


def _check_streams(source: Source, meta: bytes, tracks: list[Track]) -> None:
    """Refuses streams that say another size than the boxes around them, one that is too large.

    Raises:
        ImageError: see `Source.check`.
    """
    begins = [_item_content(source, meta, item.number, STREAM_HEAD) for item in items_in(meta) if item.kind == b"av01"]
    for start in (start for track in tracks for start in track.chunks):
        source.file.seek(min(start, 1 << 62))
        begins.append(source.file.read(STREAM_HEAD))
    for width, height in (size for begin in begins for size in coded_sizes(begin)):
        if width * height > SMALL_STREAM:
            source.check(width, height)


def _item_content(source: Source, meta: bytes, number: int, most: int = LONGEST_XMP) -> bytes:
    """The beginning of an item's content: `most` bytes of each of its parts."""
    inside, extents = extents_of(meta, number)
    data = next((box.content for box in boxes_in(meta) if box.kind == b"idat"), b"") if inside else b""
    parts: list[bytes] = []
    for start, length in extents[:64]:
        if inside:
            parts.append(data[start : start + length])
        else:
            source.file.seek(min(start, 1 << 62))
            parts.append(source.file.read(min(length, most)))
    return b"".join(parts)
