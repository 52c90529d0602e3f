"""What a PNG says besides its pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from efdn.pictures.picture import Metadata
from efdn.pictures.png.chunks import LONGEST_CHUNK, LONGEST_TEXTS, Chunk, content_of, inflated
from efdn.pictures.stored import Source

CARRIED = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"tEXt", b"zTXt", b"iTXt")
"""Chunks that are kept as they are."""

ONCE = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
KEPT = (*CARRIED, b"iCCP", b"eXIf", b"pHYs")
XMP_KEYWORD = b"XML:com.adobe.xmp\0"
PER_METRE, METRES_PER_INCH = 1, 0.0254


@dataclass
class _Found:
    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    carried: list[tuple[bytes, bytes]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def read_png_metadata(source: Source, chunks: tuple[Chunk, ...]) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata as it stands in the file, and warnings of chunks that are damaged or too long to be kept."""
    found, total = _Found(), 0
    for chunk in chunks:
        if chunk.kind not in KEPT:
            continue
        total += chunk.length
        content = None
        if chunk.length <= LONGEST_CHUNK and total <= LONGEST_TEXTS:
            content = content_of(source.file, chunk)
        if content is None or not _take(found, chunk.kind, content):
            found.damaged.append(chunk.kind.decode())
    warnings: tuple[str, ...] = ()
    if found.damaged:
        names = ", ".join(dict.fromkeys(found.damaged))
        warnings = (source.warning(f"its chunks {names} are damaged or too long, and were left out"),)
    metadata = Metadata(
        icc_profile=found.icc_profile,
        exif=found.exif,
        xmp=found.xmp,
        dpi=found.dpi,
        png_chunks=tuple(found.carried),
    )
    return metadata, warnings


def _take(found: _Found, kind: bytes, content: bytes) -> bool:
    """Takes a chunk up; False if it makes no sense."""
    if kind == b"iCCP":
        _, _, rest = content.partition(b"\0")
        found.icc_profile = found.icc_profile or inflated(rest[1:], LONGEST_CHUNK)
        return bool(found.icc_profile)
    if kind == b"eXIf":
        found.exif = found.exif or content
    elif kind == b"pHYs":
        if len(content) != 9:
            return False
        x, y, unit = struct.unpack(">IIB", content)
        if unit == PER_METRE and x and y:
            found.dpi = (round(x * METRES_PER_INCH, 2), round(y * METRES_PER_INCH, 2))
    elif kind == b"iTXt" and content.startswith(XMP_KEYWORD):
        found.xmp = found.xmp or _international_text(content)
        return bool(found.xmp)
    elif kind not in ONCE or all(kind != other for other, _ in found.carried):
        found.carried.append((kind, content))
    return True


def _international_text(content: bytes) -> bytes | None:
    """The text of an iTXt chunk; None if it is broken or inflates too far."""
    flags, after = content[len(XMP_KEYWORD) :][:2], content[len(XMP_KEYWORD) + 2 :]
    parts = after.split(b"\0", 2)
    if len(flags) < 2 or len(parts) < 3:
        return None
    return inflated(parts[2], LONGEST_CHUNK) if flags[0] == 1 else parts[2]
