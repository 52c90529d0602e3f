"""XMP packets, changed where they speak of orientation and size."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial

WIDTHS = (b"exif:PixelXDimension", b"tiff:ImageWidth")
HEIGHTS = (b"exif:PixelYDimension", b"tiff:ImageLength")
RESOLUTIONS = (b"tiff:XResolution", b"tiff:YResolution")
"""Along x and y."""

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def as_utf8(xmp: bytes) -> bytes | None:
    """A packet as UTF-8, without the zeros that may follow it; None if it is empty or no text."""
    try:
        text = xmp.decode("utf-16" if xmp[:2] in UTF_16_MARKS else "utf-8")
    except UnicodeDecodeError:
        return None
    return text.strip("\0").encode() or None


def upright(xmp: bytes) -> bytes:
    """The same with orientation 1."""
    return _replaced(xmp, b"tiff:Orientation", lambda _: b"1")


def enlarged(xmp: bytes, *, factors: tuple[float, float], width: int, height: int) -> bytes:
    """The same with this width and height where such are said, and the resolution along x and y times `factors`."""

    def scaled(number: bytes, factor: float) -> bytes:
        above, _, below = number.partition(b"/")
        if below and not int(below):
            return number
        value = (Fraction(int(above), int(below or b"1")) * Fraction(factor)).limit_denominator(10_000)
        return b"%d/%d" % (value.numerator, value.denominator)

    for name in WIDTHS:
        xmp = _replaced(xmp, name, lambda _: b"%d" % width)
    for name in HEIGHTS:
        xmp = _replaced(xmp, name, lambda _: b"%d" % height)
    for name, factor in zip(RESOLUTIONS, factors, strict=True):
        xmp = _replaced(xmp, name, partial(scaled, factor=factor))
    return xmp


def _replaced(xmp: bytes, name: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Changes a property's number, be it an attribute or an element."""
    # Lengths are bounded: a hostile packet must cost neither time nor memory.
    pattern = rb"(\b" + re.escape(name) + rb"(?:\s{0,9}=\s{0,9}[\"']|\s{0,9}>)\s{0,9})(\d{1,12}(?:/\d{1,12})?)"
    return re.sub(pattern, lambda found: found[1] + change(found[2]), xmp)
