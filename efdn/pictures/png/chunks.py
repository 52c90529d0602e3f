"""The chunks of a PNG file, found without inflating or keeping any of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MOST_CHUNKS = 1_000_000
LONGEST_CHUNK = 16 << 20
"""In bytes, of a chunk that is kept in memory as metadata."""

LONGEST_TEXTS = 64 << 20
"""In bytes, of all chunks together that are kept as metadata."""


class BrokenPngError(ValueError):
    """The file is no whole PNG."""


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies.

    Attributes:
        kind: its four letters.
        at: where its content begins in the file.
        length: of its content, in bytes.
    """

    kind: bytes
    at: int
    length: int


def find_chunks(file: BinaryIO) -> tuple[Chunk, ...]:
    """All chunks up to the end of the picture.

    Raises:
        BrokenPngError: one is cut off, or there is no end to them.
    """
    size = file.seek(0, 2)
    at = len(SIGNATURE)
    chunks: list[Chunk] = []
    while not chunks or chunks[-1].kind != b"IEND":
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or len(chunks) == MOST_CHUNKS:
            raise BrokenPngError("the file ends before the picture does")
        length, kind = struct.unpack(">I4s", head)
        if at + 12 + length > size:
            name = kind.decode("latin-1")
            raise BrokenPngError(f"its chunk {name if name.isalpha() else kind.hex()} is cut off")
        chunks.append(Chunk(kind, at + 8, length))
        at += 12 + length
    if chunks[0].kind != b"IHDR" or chunks[0].length != 13:
        raise BrokenPngError("it does not begin with a header")
    return tuple(chunks)


def content_of(file: BinaryIO, chunk: Chunk) -> bytes | None:
    """A chunk's content; None if its check sum says that it is damaged."""
    file.seek(chunk.at)
    content = file.read(chunk.length)
    (expected,) = struct.unpack(">I", file.read(4))
    return content if zlib.crc32(chunk.kind + content) == expected else None


def encoded(kind: bytes, content: bytes) -> bytes:
    """A chunk as it stands in a file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bare_png(header: bytes, colors: Iterable[tuple[bytes, bytes]], data: Iterable[bytes]) -> bytes:
    """A PNG of nothing but pixels.

    Args:
        header: content of IHDR.
        colors: PLTE and tRNS with their content, as far as there are such.
        data: the content of IDAT in pieces.
    """
    parts = [SIGNATURE, encoded(b"IHDR", header), *(encoded(*color) for color in colors)]
    parts.extend(encoded(b"IDAT", piece) for piece in data)
    return b"".join([*parts, encoded(b"IEND", b"")])


def inflated(content: bytes, limit: int) -> bytes | None:
    """What zlib compressed; None if it is broken or longer than `limit` bytes."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(content, limit + 1)
    except zlib.error:
        return None
    return plain if inflater.eof and len(plain) <= limit else None
