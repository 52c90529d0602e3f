"""The formats pictures are written in, and what each of them can hold."""

from __future__ import annotations

from dataclasses import dataclass

from efdn.pictures.picture import Color

ANY_METADATA = ("icc_profile", "exif", "xmp", "dpi")


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of picture files.

    Attributes:
        name: Pillow's.
        endings: of file names, the usual one first.
        colors: it stores. Gray is written to all: what has none stores it as RGB with three equal channels.
        alpha: whether it stores opacity.
        bits: of a sample.
        longest_side: in pixels.
        most_pixels: of a picture; None where the sides are the only limit.
        most_bytes: of the samples; None where there is no limit.
        streams: whether it is written in constant memory, row by row.
        animations: whether it can hold frames with times.
        loops: whether an animation says how often it is shown; without that, it is shown for ever.
        lossless: whether a picture can come back exactly.
        lossy: whether it takes a quality.
        effort: whether it takes a compression effort.
        metadata: fields of `Metadata` it holds.
        bytes_a_pixel: memory its encoder takes besides the samples, measured; 0 where it streams.
    """

    name: str
    endings: tuple[str, ...]
    colors: frozenset[Color]
    alpha: bool = True
    bits: tuple[int, ...] = (8,)
    longest_side: int = 2**31 - 1
    most_pixels: int | None = None
    most_bytes: int | None = None
    streams: bool = False
    animations: bool = False
    loops: bool = False
    lossless: bool = True
    lossy: bool = False
    effort: bool = False
    metadata: tuple[str, ...] = ANY_METADATA
    bytes_a_pixel: int = 0


GRAY_RGB = frozenset({Color.GRAY, Color.RGB})
GRAY_RGB_CMYK = GRAY_RGB | {Color.CMYK}

FORMATS = (
    Format(
        name="PNG",
        endings=(".png", ".apng"),
        colors=GRAY_RGB,
        bits=(1, 8, 16),
        streams=True,
        animations=True,
        loops=True,
        effort=True,
        metadata=(*ANY_METADATA, "png_chunks", "comment"),
    ),
    Format(
        name="JPEG",
        endings=(".jpg", ".jpeg", ".jpe", ".jfif"),
        colors=GRAY_RGB_CMYK,
        alpha=False,
        longest_side=65_500,
        lossless=False,
        lossy=True,
        metadata=(*ANY_METADATA, "comment"),
        bytes_a_pixel=12,
    ),
    Format(
        name="WEBP",
        endings=(".webp",),
        colors=frozenset({Color.RGB}),
        longest_side=16_383,
        animations=True,
        loops=True,
        lossy=True,
        effort=True,
        bytes_a_pixel=48,
    ),
    Format(
        name="TIFF",
        endings=(".tif", ".tiff"),
        colors=GRAY_RGB_CMYK,
        bits=(1, 8, 16),
        streams=True,
        effort=True,
    ),
    Format(
        name="BMP",
        endings=(".bmp",),
        colors=GRAY_RGB,
        alpha=False,
        bits=(1, 8),
        # The file's size is a field of 32 bits, and rows are padded.
        most_bytes=2**32 - 2**24,
        metadata=("dpi",),
        bytes_a_pixel=8,
    ),
    Format(
        name="AVIF",
        endings=(".avif",),
        # Pillow writes gray as RGB.
        colors=frozenset({Color.RGB}),
        # Larger ones can be written, but decoders refuse them as libavif does by default.
        longest_side=32_768,
        most_pixels=16_384 * 16_384,
        animations=True,
        lossless=False,
        lossy=True,
        bytes_a_pixel=48,
    ),
)
