"""The chain of a TIFF's directories, one for each page."""

from __future__ import annotations

import struct
from typing import BinaryIO


def count_directories(file: BinaryIO, most: int) -> int:
    """How many there are; counting ends beyond `most`.

    Raises:
        ValueError: they run in a circle, or one is cut off.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    count_code, entry_bytes, offset_code = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
    try:
        (offset,) = struct.unpack_from(offset_code, head, 8 if big else 4)
        seen: set[int] = set()
        while offset and len(seen) <= most:
            if offset in seen:
                raise ValueError("its pages follow each other in a circle")
            seen.add(offset)
            file.seek(min(offset, 1 << 62))
            (entries,) = struct.unpack(count_code, file.read(struct.calcsize(count_code)))
            file.seek(min(file.tell() + entries * entry_bytes, 1 << 62))
            (offset,) = struct.unpack(offset_code, file.read(struct.calcsize(offset_code)))
    except struct.error as error:
        raise ValueError("its list of pages is cut off") from error
    return len(seen)
