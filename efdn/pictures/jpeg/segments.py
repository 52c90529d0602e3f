"""The segments of a JPEG file before its pixels."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

FRAME_HEADERS = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
START_OF_SCAN, END, COMMENT = 0xDA, 0xD9, 0xFE
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))

NEEDED = (APP0, APP14)
"""Of the application's segments, those that say how pixels are to be decoded."""

MOST_SEGMENTS = 10_000

MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Among coded pixels, where 255 itself is followed by 0; marks for a new start belong to them."""


class BrokenJpegError(ValueError):
    """The file is no whole JPEG."""


@dataclass(frozen=True)
class Segment:
    """A marker and what follows it."""

    marker: int
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A JPEG's frame header."""

    width: int
    height: int
    bits: int
    components: int


def split_segments(content: bytes) -> tuple[tuple[Segment, ...], int]:
    """The segments before the pixels, and where the first scan begins.

    Raises:
        BrokenJpegError: there is no scan.
    """
    segments: list[Segment] = []
    at = 2
    while len(segments) < MOST_SEGMENTS:
        at = content.find(b"\xff", at)
        while 0 <= at < len(content) - 1 and content[at + 1] == 0xFF:
            at += 1
        if at < 0 or at + 4 > len(content):
            break
        marker = content[at + 1]
        if marker == START_OF_SCAN:
            return tuple(segments), at
        if marker == END:
            break
        if marker in WITHOUT_LENGTH or marker == 0:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        if length < 2 or at + 2 + length > len(content):
            break
        segments.append(Segment(marker, content[at + 4 : at + 2 + length]))
        at += 2 + length
    raise BrokenJpegError("the file ends before its pixels begin")


def frame_of(segments: tuple[Segment, ...]) -> Frame:
    """Size and kind.

    Raises:
        BrokenJpegError: there is no frame header, or a broken one.
    """
    for segment in segments:
        if segment.marker in FRAME_HEADERS:
            if len(segment.content) < 6:
                break
            bits, height, width, components = struct.unpack_from(">BHHB", segment.content)
            return Frame(width=width, height=height, bits=bits, components=components)
    raise BrokenJpegError("it says no size")


def scan_count(content: bytes, scan_at: int, most: int) -> int:
    """How many scans there are up to the picture's end, counted up to `most` + 1; a video may follow."""
    count, at = 0, scan_at
    while count <= most and (found := MARKER.search(content, at)):
        marker, at = content[found.end() - 1], found.end()
        if marker == END:
            break
        count += marker == START_OF_SCAN
        if marker not in WITHOUT_LENGTH:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return count


def bare_jpeg(content: bytes, segments: tuple[Segment, ...], scan_at: int) -> bytes:
    """The same JPEG without EXIF, profiles and comments."""
    kept = (
        struct.pack(">BBH", 0xFF, segment.marker, len(segment.content) + 2) + segment.content
        for segment in segments
        if segment.marker in NEEDED or not (APP0 <= segment.marker <= APP15 or segment.marker == COMMENT)
    )
    return b"\xff\xd8" + b"".join(kept) + content[scan_at:]
