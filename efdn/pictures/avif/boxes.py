"""The boxes of an AVIF file: what they say of the picture, and where texts lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"iprp", b"ipco")
LONGEST_BOX = 64 << 20
"""In bytes, of those that are kept in memory: all but the pixels."""


class BrokenAvifError(ValueError):
    """The file is no whole AVIF."""


@dataclass(frozen=True)
class Box:
    """A box by its kind, with its content and, of one at the top, where that begins in the file."""

    kind: bytes
    content: bytes
    at: int = 0

    def full(self) -> tuple[int, int, bytes]:
        """Version, flags and content of a box that has those."""
        (head,) = struct.unpack_from(">I", self.content)
        return head >> 24, head & 0xFFFFFF, self.content[4:]


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item of a file: a picture, or a text about it.

    Attributes:
        number: its own.
        kind: such as b"av01", b"Exif" or b"mime".
        content_type: of b"mime".
    """

    number: int
    kind: bytes
    content_type: bytes = b""


def top_boxes(file: BinaryIO) -> dict[bytes, Box]:
    """The boxes at the top that matter, the first of each kind.

    Raises:
        BrokenAvifError: one is cut off.
    """
    size = file.seek(0, 2)
    at, found = 0, dict[bytes, Box]()
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if length == 1 and len(head) == 16:
            length, skip = struct.unpack_from(">Q", head, 8)[0], 16
        length = length or size - at
        if length < skip or at + length > size:
            raise BrokenAvifError("the file ends before the picture does")
        if kind in (b"ftyp", b"meta", b"moov") and kind not in found:
            if length > LONGEST_BOX:
                raise BrokenAvifError(f"its box {kind.decode()} is too long")
            file.seek(at + skip)
            found[kind] = Box(kind, file.read(length - skip), at + skip)
        at += length
    return found


def boxes_in(content: bytes) -> Iterator[Box]:
    """The boxes that a content consists of.

    Raises:
        BrokenAvifError: one is cut off.
    """
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        length = length or len(content) - at
        if length < 8 or at + length > len(content):
            raise BrokenAvifError("a box is cut off")
        yield Box(kind, content[at + 8 : at + length])
        at += length


def all_boxes(content: bytes, depth: int = 0) -> Iterator[Box]:
    """The same with those that are in them, as far as they are mere containers."""
    for box in boxes_in(content):
        yield box
        if box.kind in CONTAINERS and depth < 8:
            yield from all_boxes(box.content, depth + 1)


def items_in(meta: bytes) -> list[Item]:
    """The items that a meta box lists."""
    found = []
    for box in boxes_in(meta):
        if box.kind == b"iinf":
            version, _, content = box.full()
            for entry in boxes_in(content[4 if version else 2 :]):
                if entry.kind == b"infe":
                    found.append(_item(entry))
    return found


def _item(entry: Box) -> Item:
    version, _, content = entry.full()
    if version not in (2, 3):
        return Item(number=-1, kind=b"")
    width = 2 if version == 2 else 4
    kind = content[width + 2 : width + 6]
    _, _, after_name = content[width + 6 :].partition(b"\0")
    content_type = after_name.partition(b"\0")[0] if kind == b"mime" else b""
    return Item(number=int.from_bytes(content[:width], "big"), kind=kind, content_type=content_type)


def primary_item(meta: bytes) -> int | None:
    """The number of the item that is the picture."""
    for box in boxes_in(meta):
        if box.kind == b"pitm":
            version, _, content = box.full()
            return int.from_bytes(content[: 4 if version else 2], "big")
    return None


def properties_of(meta: bytes, item: int | None) -> tuple[list[Box], list[Box]]:
    """All properties in a meta box, and those of one item in their order."""
    everything: list[Box] = []
    own: list[Box] = []
    for box in boxes_in(meta):
        if box.kind != b"iprp":
            continue
        parts = list(boxes_in(box.content))
        everything = [entry for part in parts if part.kind == b"ipco" for entry in boxes_in(part.content)]
        for part in parts:
            if part.kind == b"ipma":
                indices = _associations(part).get(-1 if item is None else item, [])
                own.extend(everything[index - 1] for index in indices if 1 <= index <= len(everything))
    return everything, own


def _associations(box: Box) -> dict[int, list[int]]:
    """For each item the numbers of its properties, from 1."""
    version, flags, content = box.full()
    (count,) = struct.unpack_from(">I", content)
    at, found = 4, dict[int, list[int]]()
    for _ in range(min(count, len(content) // 3)):
        item, many = struct.unpack_from(">HB" if version < 1 else ">IB", content, at)
        at += 3 if version < 1 else 5
        code, mask = (">H", 0x7FFF) if flags & 1 else (">B", 0x7F)
        step = struct.calcsize(code)
        found[item] = [struct.unpack_from(code, content, at + step * index)[0] & mask for index in range(many)]
        at += step * many
    return found


def extents_of(meta: bytes, item: int) -> tuple[bool, list[tuple[int, int]]]:
    """Whether an item lies inside the meta box, and begin and length of its parts."""
    for box in boxes_in(meta):
        if box.kind == b"iloc":
            return _locations(box).get(item, (False, []))
    return False, []


def _locations(box: Box) -> dict[int, tuple[bool, list[tuple[int, int]]]]:
    version, _, content = box.full()
    sizes = content[0] >> 4, content[0] & 15, content[1] >> 4, (content[1] & 15) if version else 0
    wide = 4 if version == 2 else 2
    at = 2

    def take(size: int) -> int:
        nonlocal at
        if at + size > len(content):
            raise BrokenAvifError("its list of items is cut off")
        at += size
        return int.from_bytes(content[at - size : at], "big")

    found: dict[int, tuple[bool, list[tuple[int, int]]]] = {}
    for _ in range(take(wide)):
        number = take(wide)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(sizes[2])
        parts = []
        for _ in range(take(2)):
            take(sizes[3])
            parts.append((base + take(sizes[0]), take(sizes[1])))
        found[number] = (method == 1, parts)
    return found
