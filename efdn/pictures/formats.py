"""Whether a picture fits into a format, and what of it does not."""

from __future__ import annotations

from pathlib import Path

from efdn.errors import OutputError
from efdn.pictures.format_table import FORMATS as FORMATS
from efdn.pictures.format_table import Format as Format
from efdn.pictures.picture import Color, Layout, Metadata
from efdn.pictures.rows import DEFAULT_SAVING, SaveOptions

MARKER_BYTES = 65_533
"""What one segment of a JPEG holds: EXIF, XMP and the comment have one each."""

JPEG_FIELD_BYTES = {
    "exif": MARKER_BYTES - len(b"Exif\0\0"),
    "xmp": MARKER_BYTES - len(b"http://ns.adobe.com/xap/1.0/\0"),
    "comment": MARKER_BYTES,
}
FIELD_NAMES = {
    "icc_profile": "the colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "dpi": "the resolution",
    "comment": "the comment",
}


def format_of(path: Path) -> Format:
    """The format that a file name's ending asks for.

    Raises:
        OutputError: it is none that pictures are written in, or this Pillow cannot write it.
    """
    ending = path.suffix.lower()
    for known in FORMATS:
        if ending in known.endings:
            if not _available(known):
                raise OutputError(f"cannot write {path}: this Pillow has no AVIF; install Pillow 11.3 or newer")
            return known
    if ending == ".gif":
        raise OutputError(f"cannot write {path}: GIF is only read, its 256 colours are too few; choose .webp or .png")
    endings = ", ".join(known.endings[0] for known in FORMATS if _available(known))
    raise OutputError(f"cannot write {path}: expected a name ending in {endings}")


def check_fits(path: Path, layout: Layout, options: SaveOptions = DEFAULT_SAVING) -> Format:
    """The format that `path` asks for, once it is known to hold such a picture.

    Raises:
        OutputError: it cannot hold it, or an option does not concern it; the message names what can.
    """
    chosen = format_of(path)
    complaint = _complaint(chosen, layout) or _option_complaint(chosen, options)
    if complaint:
        raise OutputError(f"cannot write {path}: {complaint}")
    return chosen


def default_ending(layout: Layout) -> str:
    """Of a file that holds this picture without loss."""
    return ".tif" if layout.color is Color.CMYK else ".png"


def unheld(chosen: Format, metadata: Metadata) -> tuple[str, ...]:
    """Names of what the format cannot carry of this metadata, such as "XMP"."""
    lost = [name for field, name in FIELD_NAMES.items() if not _holds(chosen, metadata, field)]
    if metadata.png_chunks and "png_chunks" not in chosen.metadata:
        kinds = dict.fromkeys(kind.decode("latin-1") for kind, _ in metadata.png_chunks)
        lost.append(f"PNG's {', '.join(kinds)}")
    return tuple(lost)


def held(chosen: Format, metadata: Metadata) -> Metadata:
    """What the format can carry of this metadata."""
    kept = {field: getattr(metadata, field) for field in FIELD_NAMES if _holds(chosen, metadata, field)}
    if "png_chunks" in chosen.metadata:
        kept["png_chunks"] = metadata.png_chunks
    return Metadata(**kept)


def memory_bytes(chosen: Format, layout: Layout) -> int:
    """What writing must hold of a picture at once: 0 where it goes row by row."""
    if chosen.streams:
        return 0
    pixels = layout.width * layout.height
    return pixels * (layout.channels + chosen.bytes_a_pixel)


def _holds(chosen: Format, metadata: Metadata, field: str) -> bool:
    value = getattr(metadata, field)
    if value is None:
        return True
    if field not in chosen.metadata:
        return False
    if field == "icc_profile":
        # A profile of gray describes nothing in a file whose channels are RGB.
        return Color.GRAY in chosen.colors or value[16:20] != b"GRAY"
    if chosen.name != "JPEG":
        return True
    if field == "dpi":
        return all(1 <= round(number) <= 0xFFFF for number in value)
    return len(value) <= JPEG_FIELD_BYTES[field]


def _complaint(chosen: Format, layout: Layout) -> str | None:
    """Why the format cannot hold the picture, and what to do; None if it can."""
    problem = _problem(chosen, layout)
    if problem is None:
        return None
    reason, remedy = problem
    others = [known.endings[0] for known in FORMATS if _available(known) and _problem(known, layout) is None]
    choice = f"choose {_either(others)}, or {remedy}" if others else remedy
    return f"{chosen.name} {reason}, the picture is {layout}; {choice}"


def _problem(chosen: Format, layout: Layout) -> tuple[str, str] | None:
    """What stands against it, and what could be done with the picture itself."""
    if layout.bits == 1 and (layout.color is not Color.GRAY or layout.alpha):
        return "holds 1 bit only for gray without alpha", "--bits 8"
    if layout.color not in chosen.colors | {Color.GRAY}:
        return f"holds no {layout.color.value}", "--color rgb"
    if layout.alpha and not chosen.alpha:
        return "holds no alpha", "--background to put it on a colour"
    if layout.bits not in chosen.bits:
        most = f"holds {_either([str(bits) for bits in chosen.bits])} bits a sample"
        return most, "--bits 8"
    if max(layout.side) > chosen.longest_side:
        return f"holds {chosen.longest_side} pixels a side", "a smaller --size"
    if chosen.most_pixels is not None and layout.width * layout.height > chosen.most_pixels:
        return f"holds {chosen.most_pixels} pixels", "a smaller --size"
    samples = layout.height * (layout.width + 3) * layout.channels
    if chosen.most_bytes is not None and samples > chosen.most_bytes:
        return "holds 4 GB", "a smaller --size"
    return None


def _option_complaint(chosen: Format, options: SaveOptions) -> str | None:
    if options.quality is not None and not chosen.lossy:
        others = _either([known.endings[0] for known in FORMATS if known.lossy and _available(known)])
        return f"{chosen.name} is lossless and takes no quality; leave it out, or choose {others}"
    if options.compression is not None and not chosen.effort:
        others = _either([known.endings[0] for known in FORMATS if known.effort])
        return f"{chosen.name} takes no compression effort; leave it out, or choose {others}"
    return None


def _available(chosen: Format) -> bool:
    if chosen.name != "AVIF":
        return True
    from PIL import features

    # Pillow before 11.3 does not know the name, and says so in a warning.
    return "avif" in features.modules and bool(features.check_module("avif"))


def _either(words: list[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
