"""BMP files."""

from __future__ import annotations

import struct

from efdn.pictures.metadata import sound
from efdn.pictures.picture import Color, Layout, Metadata
from efdn.pictures.stored import Raster, Source, Stored, kind_in_words, split_alpha

COLORS = {"1": Color.GRAY, "L": Color.GRAY, "P": Color.RGB, "RGB": Color.RGB, "RGBA": Color.RGB}
"""For each of Pillow's modes."""

OLDEST_HEADER, V5_HEADER = 12, 124
EMBEDDED_PROFILE = 0x4D424544
METRES_PER_INCH = 0.0254


def open_bmp(source: Source) -> Stored:
    """Reads everything but the pixels.

    Raises:
        ImageError: broken, too large, or of a kind that Pillow does not read.
    """
    from PIL.BmpImagePlugin import BmpImageFile

    source.file.seek(0)
    head = source.file.read(14 + V5_HEADER).ljust(14 + V5_HEADER, b"\0")
    (header_size,) = struct.unpack_from("<I", head, 14)
    sides = struct.unpack_from("<HH" if header_size == OLDEST_HEADER else "<ii", head, 18)
    source.check(abs(sides[0]), abs(sides[1]))
    source.file.seek(0)
    image = BmpImageFile(source.file)
    color, bits = COLORS[image.mode], 1 if image.mode == "1" else 8
    layout = Layout(width=image.width, height=image.height, color=color, alpha=image.mode == "RGBA", bits=bits)
    metadata, warnings = sound(_metadata(source, head, header_size), source)

    def load() -> Raster:
        import numpy as np

        with image:
            image.load()
            return split_alpha(
                np.array(image.convert({"1": "L", "P": "RGB"}.get(image.mode, image.mode))), layout.alpha
            )

    return Stored(
        format="BMP",
        kind="palette" if image.mode == "P" else kind_in_words(layout, bits),
        layout=layout,
        bits=bits,
        load=load,
        metadata=metadata,
        warnings=warnings,
    )


def _metadata(source: Source, head: bytes, header_size: int) -> Metadata:
    """Resolution and, in the newest kind of header, a colour profile."""
    dpi = profile = None
    if header_size >= 40:
        x, y = struct.unpack_from("<ii", head, 14 + 24)
        if x > 0 and y > 0:
            dpi = (round(x * METRES_PER_INCH, 2), round(y * METRES_PER_INCH, 2))
    if header_size == V5_HEADER and struct.unpack_from("<I", head, 14 + 56)[0] == EMBEDDED_PROFILE:
        offset, size = struct.unpack_from("<II", head, 14 + 112)
        source.file.seek(14 + offset)
        profile = source.file.read(min(size, 16 << 20))
    return Metadata(icc_profile=profile or None, dpi=dpi)
