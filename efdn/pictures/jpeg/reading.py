"""JPEG files; of phones' JPEGs that hold several pictures, the first."""

from __future__ import annotations

import struct
from io import BytesIO

from efdn.errors import ImageError
from efdn.pictures.jpeg.segments import (
    APP0,
    APP1,
    APP2,
    COMMENT,
    BrokenJpegError,
    Segment,
    bare_jpeg,
    frame_of,
    scan_count,
    split_segments,
)
from efdn.pictures.metadata import orientation_of, sound
from efdn.pictures.picture import Color, Layout, Metadata
from efdn.pictures.stored import MOST_BESIDES, Raster, Source, Stored, kind_in_words, split_alpha

COLORS = {1: Color.GRAY, 3: Color.RGB, 4: Color.CMYK}

EXIF, XMP, ICC = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
PER_INCH, PER_CENTIMETRE = 1, 2

USUAL_HEAD = 1 << 20
"""In bytes; what comes before the pixels is rarely longer."""

MOST_SCANS = 1000
"""Each takes a pass over the whole picture, however short it is; real files have some ten."""


def open_jpeg(source: Source) -> Stored:
    """Reads everything but the pixels.

    Raises:
        ImageError: broken, too large, or not of 8 bits.
    """
    segments, scan_at = _head(source)
    frame = frame_of(segments)
    source.check(frame.width, frame.height)
    if frame.bits != 8 or frame.components not in COLORS:
        raise source.refused(
            f"a JPEG of {frame.components} channels and {frame.bits} bits", "convert it to 8-bit RGB, or to PNG or TIFF"
        )
    layout = Layout(width=frame.width, height=frame.height, color=COLORS[frame.components])
    metadata, warnings = sound(_metadata(segments), source)

    def load() -> Raster:
        content = source.content(frame.width * frame.height)
        if scan_count(content, scan_at, MOST_SCANS) > MOST_SCANS:
            raise ImageError(f"{source.path} has more than {MOST_SCANS} scans: expected some ten; save it anew")
        return _decoded(bare_jpeg(content, segments, scan_at))

    return Stored(
        format="JPEG",
        kind=kind_in_words(layout, 8),
        layout=layout,
        bits=8,
        load=load,
        metadata=metadata,
        orientation=orientation_of(metadata),
        warnings=warnings,
    )


def _head(source: Source) -> tuple[tuple[Segment, ...], int]:
    """What `split_segments` tells, of as little of the file as that takes."""
    try:
        return split_segments(source.beginning(USUAL_HEAD))
    except BrokenJpegError:
        return split_segments(source.beginning(MOST_BESIDES))


def _decoded(content: bytes) -> Raster:
    import numpy as np
    from PIL.JpegImagePlugin import JpegImageFile

    # The class itself, as Image.open warns of large pictures, which max_pixels allowed. CMYK comes as ink: Pillow
    # turns over the values of Adobe's JPEGs.
    with JpegImageFile(BytesIO(content)) as image:
        image.load()
        return split_alpha(np.array(image), False)


def _metadata(segments: tuple[Segment, ...]) -> Metadata:
    exif = xmp = comment = dpi = None
    profile: dict[int, bytes] = {}
    for marker, content in ((segment.marker, segment.content) for segment in segments):
        if marker == APP0 and content.startswith(b"JFIF\0") and dpi is None:
            dpi = _density(content)
        elif marker == APP1 and content.startswith(EXIF) and exif is None:
            exif = content
        elif marker == APP1 and content.startswith(XMP) and xmp is None:
            xmp = content[len(XMP) :]
        elif marker == APP2 and content.startswith(ICC) and len(content) > len(ICC) + 2:
            profile.setdefault(content[len(ICC)], content[len(ICC) + 2 :])
        elif marker == COMMENT and comment is None:
            comment = content
    return Metadata(
        icc_profile=b"".join(profile[part] for part in sorted(profile)) or None,
        exif=exif,
        xmp=xmp,
        dpi=dpi,
        comment=comment,
    )


def _density(jfif: bytes) -> tuple[float, float] | None:
    """Pixels an inch; None where JFIF says but the pixels' shape."""
    if len(jfif) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", jfif, 7)
    if unit not in (PER_INCH, PER_CENTIMETRE) or not (x and y):
        return None
    inch = 2.54 if unit == PER_CENTIMETRE else 1.0
    return x * inch, y * inch
