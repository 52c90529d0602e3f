"""TIFF directories, written: of a TIFF file, or of EXIF that is moved into one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from efdn.pictures.exif import (
    EXIF_IFD,
    GPS_IFD,
    INTEROP_IFD,
    POINTERS,
    RESOLUTION_UNIT,
    SIZES,
    X_RESOLUTION,
    Y_RESOLUTION,
    dpi_of,
    order_of,
    read_directory,
)

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
INCH = 2
WORD_BYTES = {3: 2, 8: 2, 4: 4, 5: 4, 9: 4, 10: 4, 11: 4, 13: 4, 12: 8, 16: 8}
"""Bytes that change places with the byte order, of each type that has such."""

TREE = {0: (EXIF_IFD, GPS_IFD), EXIF_IFD: (INTEROP_IFD,)}
"""Which directories each directory can point to."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a tag says.

    Attributes:
        kind: TIFF's type.
        data: the values, least significant byte first.
    """

    kind: int
    data: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.data) // (8 if self.kind == LONG8 else SIZES[self.kind])


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A directory with those it points to.

    Attributes:
        values: of its tags.
        below: the others, by the tag that points to them.
    """

    values: dict[int, Value]
    below: dict[int, Tree] = field(default_factory=dict)


def short(*numbers: int) -> Value:
    """Numbers of 16 bits."""
    return Value(kind=SHORT, data=struct.pack(f"<{len(numbers)}H", *numbers))


def long(*numbers: int) -> Value:
    """Numbers of 32 bits."""
    return Value(kind=LONG, data=struct.pack(f"<{len(numbers)}I", *numbers))


def long8(*numbers: int) -> Value:
    """Numbers of 64 bits, which BigTIFF has."""
    return Value(kind=LONG8, data=struct.pack(f"<{len(numbers)}Q", *numbers))


def rational(number: float) -> Value:
    """A number as a fraction of 32 bits each."""
    fraction = Fraction(number).limit_denominator(10_000)
    above = min(fraction.numerator, 2**32 - 1)
    return Value(kind=RATIONAL, data=struct.pack("<II", above, fraction.denominator))


def read_tree(exif: bytes, start: int | None = None, tag: int = 0) -> Tree:
    """EXIF's directories with all their values, in one byte order.

    Args:
        exif: a TIFF structure.
        start: offset of the directory; of the main one if not given.
        tag: that pointed to it; 0 is the main one.

    Raises:
        ValueError: it is no TIFF structure.
    """
    if start is None:
        (start,) = struct.unpack_from(order_of(exif) + "I", exif, 4)
    values, below = {}, {}
    # Values do not overlap, unless they are made to fill the memory.
    room = len(exif)
    for entry in read_directory(exif, start).entries:
        room -= entry.size
        if room < 0:
            break
        data = exif[entry.value_at : entry.value_at + entry.size]
        if order_of(exif) == ">" and entry.kind in WORD_BYTES:
            data = np.frombuffer(data, f">u{WORD_BYTES[entry.kind]}").astype(f"<u{WORD_BYTES[entry.kind]}").tobytes()
        if entry.tag in TREE.get(tag, ()) and len(data) == 4:
            try:
                below[entry.tag] = read_tree(exif, struct.unpack("<I", data)[0], entry.tag)
            except ValueError:
                continue
        elif entry.tag not in POINTERS:
            values[entry.tag] = Value(kind=entry.kind, data=data)
    return Tree(values=values, below=below)


def write_tree(file: BinaryIO, tree: Tree, *, big: bool) -> tuple[int, int]:
    """Writes a directory with what it points to at the end of `file`.

    Args:
        file: to write to, at its end.
        tree: the directory.
        big: as BigTIFF has it, with offsets of 64 bits.

    Returns:
        Where the directory begins, and where the offset of the next one stands, which is 0.
    """
    offset, count = ("Q", "Q") if big else ("I", "H")
    values = dict(tree.values)
    for tag, further in tree.below.items():
        start, _ = write_tree(file, further, big=big)
        values[tag] = long8(start) if big else long(start)
    entries = []
    for tag in sorted(values):
        value, inline = values[tag], struct.calcsize("<" + offset)
        data = value.data
        if len(data) > inline:
            data = struct.pack("<" + offset, _append(file, data))
        entries.append(struct.pack(f"<HH{offset}", tag, value.kind, value.count) + data.ljust(inline, b"\0"))
    directory = struct.pack("<" + count, len(entries)) + b"".join(entries)
    start = _append(file, directory + bytes(struct.calcsize("<" + offset)))
    return start, start + len(directory)


def exif_with_dpi(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """EXIF that says this resolution, for formats which have no other place for it.

    What stood there is not moved, since maker notes may point at it: a new main directory follows.

    Args:
        exif: a TIFF structure; None if there is none yet.
        dpi: pixels an inch, along x and y.
    """
    exif = exif or b"II*\0\x08\0\0\0" + bytes(6)
    said = dpi_of(exif)
    if said is not None and all(abs(a - b) < 0.01 for a, b in zip(said, dpi, strict=True)):
        return exif
    order = order_of(exif)
    main = read_directory(exif, struct.unpack_from(order + "I", exif, 4)[0])
    entries = {entry.tag: exif[entry.at : entry.at + 12] for entry in main.entries}
    grown = bytearray(exif + b"\0" * (len(exif) % 2))
    for tag, number in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
        entries[tag] = struct.pack(order + "HHII", tag, RATIONAL, 1, len(grown))
        grown += struct.pack(order + "II", *struct.unpack("<II", rational(number).data))
    entries[RESOLUTION_UNIT] = struct.pack(order + "HHIHH", RESOLUTION_UNIT, SHORT, 1, INCH, 0)
    struct.pack_into(order + "I", grown, 4, len(grown))
    grown += struct.pack(order + "H", len(entries))
    return bytes(grown) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)


def _append(file: BinaryIO, data: bytes) -> int:
    """Writes data at an even offset, which it gives."""
    start = file.tell()
    if start % 2:
        file.write(b"\0")
        start += 1
    file.write(data)
    return start
