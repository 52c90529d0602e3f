"""EXIF out of a TIFF file, where its tags lie among those of the pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from efdn.pictures.exif import EXIF_IFD, GPS_IFD, LONG, POINTERS, SIZES

DESCRIPTION = 0x010E
RESOLUTION = (0x011A, 0x011B, 0x0128)
TEXTS = (0x010D, DESCRIPTION, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298)
WINDOWS_TEXTS = tuple(range(0x9C9B, 0x9CA0))
KEPT = (*RESOLUTION, *TEXTS, *WINDOWS_TEXTS, EXIF_IFD, GPS_IFD)

ABOUT_PIXELS = (b'{"shape"', b"ImageJ=", b"<?xml")
"""How descriptions begin that speak of the file's own structure."""

LONGEST_VALUE, LONGEST_EXIF, MOST_ENTRIES = 1 << 20, 8 << 20, 4096


@dataclass(frozen=True)
class _Value:
    kind: int
    count: int
    content: bytes


_Directory = dict[int, "_Value | _Directory"]


def read_tiff_exif(file: BinaryIO, offset: int) -> bytes | None:
    """The tags that EXIF knows of a TIFF's page, as a TIFF structure of their own; None if there is nothing to say.

    Args:
        file: a TIFF or BigTIFF.
        offset: of the page's directory.

    Raises:
        ValueError: they are broken.
    """
    file.seek(0)
    head = file.read(4)
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in head
    try:
        tags = _Reader(file, order, big=big).directory(offset, KEPT)
    except struct.error as error:
        raise ValueError("a directory is cut off") from error
    description = tags.get(DESCRIPTION)
    if isinstance(description, _Value) and description.content.startswith(ABOUT_PIXELS):
        del tags[DESCRIPTION]
    if all(tag in RESOLUTION for tag in tags):
        return None
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "I", 8) + _written(tags, order, 8)


class _Reader:
    def __init__(self, file: BinaryIO, order: str, *, big: bool) -> None:
        self._file, self._order, self._big = file, order, big
        self._left = LONGEST_EXIF

    def directory(self, offset: int, kept: tuple[int, ...] | None, depth: int = 0) -> _Directory:
        """The tags of a directory, of those in `kept`, with the directories they point to."""
        count_code, entry_code, inline = ("Q", "HHQ8s", 8) if self._big else ("H", "HHI4s", 4)
        (count,) = struct.unpack(self._order + count_code, self._read(offset, struct.calcsize("=" + count_code)))
        if count > MOST_ENTRIES:
            raise ValueError("a directory is too long")
        size = struct.calcsize("=" + entry_code)
        entries = self._read(offset + struct.calcsize("=" + count_code), count * size)
        tags: _Directory = {}
        for at in range(0, count * size, size):
            tag, kind, values, place = struct.unpack_from(self._order + entry_code, entries, at)
            length = SIZES.get(kind, 0) * values
            if (kept is not None and tag not in kept) or not 0 < length <= LONGEST_VALUE:
                continue
            pointer = int.from_bytes(place, "little" if self._order == "<" else "big")
            if tag in POINTERS and values == 1 and length >= 4:
                start = pointer if inline == length else struct.unpack_from(self._order + "I", place)[0]
                if depth < 2:
                    tags[tag] = self.directory(start, None, depth + 1)
            else:
                content = place[:length] if length <= inline else self._read(pointer, length)
                tags[tag] = _Value(kind, values, content)
        return tags

    def _read(self, offset: int, size: int) -> bytes:
        self._left -= size
        self._file.seek(min(offset, 1 << 62))
        content = self._file.read(size) if self._left >= 0 else b""
        if len(content) < size:
            raise ValueError("a value lies outside of the file")
        return content


def _written(tags: _Directory, order: str, start: int) -> bytes:
    """A directory with its values and the directories in it, to stand at `start`."""
    entries, after = b"", b""
    behind = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        value = tags[tag]
        if isinstance(value, dict):
            kind, count, place = LONG, 1, struct.pack(order + "I", behind + len(after))
            after += _written(value, order, behind + len(after))
        elif len(value.content) <= 4:
            kind, count, place = value.kind, value.count, value.content.ljust(4, b"\0")
        else:
            kind, count, place = value.kind, value.count, struct.pack(order + "I", behind + len(after))
            after += value.content + b"\0" * (len(value.content) % 2)
        entries += struct.pack(order + "HHI", tag, kind, count) + place
    return struct.pack(order + "H", len(tags)) + entries + bytes(4) + after
