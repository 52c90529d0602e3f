"""EXIF: a TIFF structure, read and changed where it stands.

Nothing is moved: what a camera's maker notes point at stays where it was.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
WIDTHS, HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
"""ImageWidth and PixelXDimension; ImageLength and PixelYDimension."""

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
POINTERS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
THUMBNAIL_AT, THUMBNAIL_BYTES = 0x0201, 0x0202

BYTE, SHORT, LONG, RATIONAL = 1, 3, 4, 5
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each TIFF type."""

CENTIMETRE = 3
LARGEST = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A tag in a TIFF structure.

    Attributes:
        at: where its 12 bytes begin.
        tag: its number.
        kind: TIFF's type.
        count: of values.
        value_at: where the values begin.
        size: of all values, in bytes.
    """

    at: int
    tag: int
    kind: int
    count: int
    value_at: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Directory:
    """An IFD: its entries whose values are there, and where the offset of the next one stands."""

    at: int
    entries: tuple[Entry, ...]
    next_at: int


class _BrokenError(ValueError):
    pass


def without_prefix(exif: bytes) -> bytes | None:
    """The TIFF structure of an EXIF block, without "Exif" before it; None if it is broken."""
    content = exif[6:] if exif[:6] in (b"Exif\0\0", b"Exif\0\xff") else exif
    try:
        directories(content)
    except (_BrokenError, struct.error):
        return None
    return content


def orientation_of(exif: bytes) -> int:
    """1 to 8, how the picture is to be turned; 1 where nothing sensible is said."""
    for entry in _main(exif):
        if entry.tag == ORIENTATION:
            value = _integer(exif, entry)
            return value if value is not None and 1 <= value <= 8 else 1
    return 1


def dpi_of(exif: bytes) -> tuple[float, float] | None:
    """Pixels an inch along x and y, if said."""
    tags = {entry.tag: entry for entry in _main(exif)}
    if X_RESOLUTION not in tags or Y_RESOLUTION not in tags:
        return None
    unit = _integer(exif, tags[RESOLUTION_UNIT]) if RESOLUTION_UNIT in tags else 2
    values = [_rational(exif, tags[tag]) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if unit not in (2, CENTIMETRE) or not all(values):
        return None
    inch = 2.54 if unit == CENTIMETRE else 1.0
    x, y = (round(float(value) * inch, 2) for value in values if value is not None)
    return x, y


def upright(exif: bytes, *, swapped: bool) -> bytes:
    """The same with orientation 1 and without thumbnail, which shows the picture as it was.

    Args:
        exif: a TIFF structure.
        swapped: whether width and height changed places.
    """
    changed = bytearray(exif)
    tags = {entry.tag: entry for entry in _main(exif)}
    if ORIENTATION in tags:
        _put_integer(changed, tags[ORIENTATION], 1)
    x, y = tags.get(X_RESOLUTION), tags.get(Y_RESOLUTION)
    if swapped and x is not None and y is not None and x.size == y.size == 8:
        changed[x.value_at : x.value_at + 8] = exif[y.value_at : y.value_at + 8]
        changed[y.value_at : y.value_at + 8] = exif[x.value_at : x.value_at + 8]
    return _without_thumbnail(changed)


def enlarged(exif: bytes, *, factors: tuple[float, float], width: int, height: int) -> bytes:
    """The same with the resolution along x and y times `factors`, and this width and height where such are said."""
    changed = bytearray(exif)
    for directory in directories(exif):
        for entry in directory.entries:
            if entry.tag in (X_RESOLUTION, Y_RESOLUTION):
                _scale(changed, exif, entry, factors[entry.tag == Y_RESOLUTION])
            elif entry.tag in WIDTHS:
                _put_integer(changed, entry, width)
            elif entry.tag in HEIGHTS:
                _put_integer(changed, entry, height)
    return bytes(changed)


def directories(exif: bytes) -> list[Directory]:
    """The main IFD and those it points to: Exif, GPS, Interoperability.

    Raises:
        ValueError: it is no TIFF structure.
    """
    if exif[:4] not in (b"II*\0", b"MM\0*") or len(exif) < 8:
        raise _BrokenError("no TIFF structure")
    found = [read_directory(exif, struct.unpack_from(order_of(exif) + "I", exif, 4)[0])]
    for directory in found:
        for entry in directory.entries:
            if entry.tag in POINTERS and entry.kind in (LONG, 13) and entry.count == 1 and len(found) < 8:
                offset = struct.unpack_from(order_of(exif) + "I", exif, entry.value_at)[0]
                further = _directory_if_sound(exif, offset)
                if further is not None and all(offset != other.at for other in found):
                    found.append(further)
    return found


def read_directory(data: bytes, start: int) -> Directory:
    """The IFD that begins at `start`; entries whose values lie outside are passed over.

    Raises:
        ValueError: it does not lie inside.
    """
    order = order_of(data)
    if not 8 <= start <= len(data) - 2:
        raise _BrokenError("an offset outside")
    (count,) = struct.unpack_from(order + "H", data, start)
    end = start + 2 + 12 * count
    if end > len(data):
        raise _BrokenError("a directory cut off")
    entries = []
    for at in range(start + 2, end, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", data, at)
        size = SIZES.get(kind, 0) * values
        value_at = at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        if size and value_at + size <= len(data):
            entries.append(Entry(at=at, tag=tag, kind=kind, count=values, value_at=value_at, size=size))
    return Directory(at=start, entries=tuple(entries), next_at=end)


def order_of(data: bytes) -> str:
    """The byte order as `struct` has it."""
    return "<" if data[:2] == b"II" else ">"


def _main(exif: bytes) -> tuple[Entry, ...]:
    return directories(exif)[0].entries


def _directory_if_sound(exif: bytes, start: int) -> Directory | None:
    try:
        return read_directory(exif, start)
    except _BrokenError:
        return None


def _integer(exif: bytes | bytearray, entry: Entry) -> int | None:
    code = {BYTE: "B", SHORT: "H", LONG: "I"}.get(entry.kind)
    if code is None or entry.count < 1:
        return None
    return int(struct.unpack_from(order_of(bytes(exif[:2])) + code, exif, entry.value_at)[0])


def _put_integer(exif: bytearray, entry: Entry, value: int) -> None:
    """Writes one number as SHORT, or as LONG if it needs that; both fit into the entry itself."""
    if entry.kind not in (SHORT, LONG) or entry.count != 1:
        return
    order = order_of(bytes(exif[:2]))
    if entry.kind == SHORT and value < 2**16:
        struct.pack_into(order + "H", exif, entry.value_at, value)
    else:
        struct.pack_into(order + "HII", exif, entry.at + 2, LONG, 1, min(value, LARGEST))


def _rational(exif: bytes, entry: Entry) -> Fraction | None:
    if entry.kind != RATIONAL or entry.count != 1:
        return None
    above, below = struct.unpack_from(order_of(exif) + "II", exif, entry.value_at)
    return Fraction(above, below) if below else None


def _scale(changed: bytearray, exif: bytes, entry: Entry, factor: float) -> None:
    value = _rational(exif, entry)
    if value is None:
        return
    scaled = (value * Fraction(factor)).limit_denominator(10_000)
    if scaled.numerator <= LARGEST:
        struct.pack_into(order_of(exif) + "II", changed, entry.value_at, scaled.numerator, scaled.denominator)


def _without_thumbnail(exif: bytearray) -> bytes:
    """Unlinks the second IFD; its picture is cut off, or blanked where something follows."""
    data = bytes(exif)
    live = directories(data)
    next_at = live[0].next_at
    if next_at + 4 > len(data):
        return data
    (second,) = struct.unpack_from(order_of(data) + "I", data, next_at)
    struct.pack_into("I", exif, next_at, 0)
    used = max(
        [next_at + 4, *(directory.next_at + 4 for directory in live)]
        + [entry.value_at + entry.size for directory in live for entry in directory.entries]
    )
    thumbnail = _directory_if_sound(data, second)
    if thumbnail is not None:
        numbers = {entry.tag: _integer(data, entry) for entry in thumbnail.entries}
        start, size = numbers.get(THUMBNAIL_AT), numbers.get(THUMBNAIL_BYTES)
        if start is not None and size is not None and used <= start and start + size <= len(data):
            if start + size == len(data):
                del exif[start:]
            else:
                exif[start : start + size] = bytes(size)
    return bytes(exif)
