"""PNG files, still and moving, of every depth and kind."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from efdn.errors import ImageError
from efdn.pictures.metadata import orientation_of, sound
from efdn.pictures.picture import Color, Layout, Pixels
from efdn.pictures.png.chunks import BrokenPngError, Chunk, bare_png, content_of, find_chunks
from efdn.pictures.png.header import GRAY, GRAY_ALPHA, PALETTE, RGB, RGB_ALPHA, PngHeader
from efdn.pictures.png.interlace import interlaced
from efdn.pictures.png.metadata import read_png_metadata
from efdn.pictures.stored import MOST_FRAMES, Raster, Source, Stored, kind_in_words, split_alpha

DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}

SLACK_BYTES = 1 << 20
"""That compressed pixels may have beyond twice those that are not compressed."""

PLAIN_MODES, PLACE_OF_BITS = ("L", "LA", "RGB", "RGBA"), 24
"""Pillow's names of PNGs without palette and transparent colours; and where a PNG says its depth."""

LONGEST_SIDE = 1_000_000
"""In pixels; libpng reads no further."""


def open_png(source: Source) -> Stored:
    """Reads everything but the pixels.

    Raises:
        ImageError: broken, or too large.
    """
    chunks = find_chunks(source.file)
    header = _header(source, chunks)
    colors = _colors(source, chunks, header)
    metadata, warnings = read_png_metadata(source, chunks)
    metadata, more = sound(metadata, source)
    layout, kind, bits = _kind(header, transparent=any(name == b"tRNS" for name, _ in colors))
    pixels = PngPixels(source=source, header=header, colors=colors, alpha=layout.alpha)
    frames, loops = _animation(source, chunks)

    def play() -> Iterator[tuple[Raster, float]]:
        from efdn.pictures.png.frames import apng_frames

        return apng_frames(pixels, chunks)

    return Stored(
        format="PNG",
        kind=kind,
        layout=layout,
        bits=bits,
        load=lambda: pixels.still(chunks),
        play=play if frames > 1 else None,
        metadata=metadata,
        orientation=orientation_of(metadata),
        frames=frames,
        moving=frames > 1,
        loops=loops,
        warnings=(*warnings, *more),
    )


@dataclass(frozen=True, kw_only=True)
class PngPixels:
    """Decodes the pixels of a PNG, or of a part of it that has the same colours.

    Attributes:
        source: the open file.
        header: of the whole picture.
        colors: its chunks PLTE and tRNS.
        alpha: whether there is an alpha channel once they are resolved.
    """

    source: Source
    header: PngHeader
    colors: tuple[tuple[bytes, bytes], ...]
    alpha: bool

    def still(self, chunks: tuple[Chunk, ...]) -> Raster:
        """The picture that every program shows."""
        data = [chunk for chunk in chunks if chunk.kind == b"IDAT"]
        return self.decode(self.header.width, self.header.height, (self.sound_content(chunk) for chunk in data))

    def decode(self, width: int, height: int, data: Iterator[bytes]) -> Raster:
        """Compressed pixels, in pieces, of a picture of this size."""
        pieces = _limited(data, 2 * height * self.header.row_bytes(width) + SLACK_BYTES)
        if self.header.rest[-1]:
            return split_alpha(interlaced(self.header, self.colors, width, height, pieces), self.alpha)
        bare = bare_png(self.header.packed(width, height), self.colors, pieces)
        return split_alpha(_decoded(bare), self.alpha)

    def sound_content(self, chunk: Chunk) -> bytes:
        """A chunk's content.

        Raises:
            BrokenPngError: it is damaged.
        """
        content = content_of(self.source.file, chunk)
        if content is None:
            raise BrokenPngError(f"its chunk {chunk.kind.decode()} is damaged")
        return content


def _decoded(bare: bytes) -> Pixels:
    """A PNG's samples; without imagecodecs, on machines where nothing can be installed, those that Pillow keeps too."""
    import numpy as np

    try:
        import imagecodecs
    except ModuleNotFoundError as error:
        from PIL import Image

        with Image.open(BytesIO(bare)) as image:
            deep = bare[PLACE_OF_BITS] == 16
            if deep or image.mode not in PLAIN_MODES:
                raise ImageError(
                    f"reading this kind of PNG takes imagecodecs, which is not installed ({error}): "
                    "pip install imagecodecs, or convert it to 8-bit gray or RGB"
                ) from error
            return np.array(image)
    return np.asarray(imagecodecs.png_decode(bare))


def _limited(data: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The same pieces.

    Raises:
        BrokenPngError: they have more bytes than pixels ever take.
    """
    for piece in data:
        most -= len(piece)
        if most < 0:
            raise BrokenPngError("its compressed pixels are too long")
        yield piece


def _header(source: Source, chunks: tuple[Chunk, ...]) -> PngHeader:
    content = content_of(source.file, chunks[0])
    if content is None:
        raise BrokenPngError("its header is damaged")
    width, height, bits, kind, rest = struct.unpack(">IIBB3s", content)
    if bits not in DEPTHS.get(kind, ()):
        raise BrokenPngError(f"a colour type {kind} of {bits} bits does not exist")
    if rest not in (b"\0\0\0", b"\0\0\1"):
        raise BrokenPngError("its compression, filter or interlacing does not exist")
    source.check(width, height)
    if max(width, height) > LONGEST_SIDE:
        raise ImageError(
            f"{source.path} has {width}x{height} pixels: expected at most {LONGEST_SIDE} a side in a PNG; "
            "convert it to TIFF"
        )
    return PngHeader(width=width, height=height, bits=bits, kind=kind, rest=rest)


def _colors(source: Source, chunks: tuple[Chunk, ...], header: PngHeader) -> tuple[tuple[bytes, bytes], ...]:
    """The palette and the transparent colours, if they concern this kind of picture."""
    wanted = {PALETTE: (b"PLTE", b"tRNS"), GRAY: (b"tRNS",), RGB: (b"tRNS",)}.get(header.kind, ())
    colors: dict[bytes, bytes] = {}
    for chunk in chunks:
        if chunk.kind in wanted and chunk.kind not in colors:
            content = content_of(source.file, chunk) if chunk.length <= 768 else None
            if content is None:
                raise BrokenPngError(f"its chunk {chunk.kind.decode()} is damaged")
            colors[chunk.kind] = content
    palette, key = len(colors.get(b"PLTE", b"")), colors.get(b"tRNS")
    expected = range(1, palette // 3 + 1) if header.kind == PALETTE else (6 if header.kind == RGB else 2,)
    if (header.kind == PALETTE and (not palette or palette % 3)) or (key is not None and len(key) not in expected):
        raise BrokenPngError("its colours are damaged")
    return tuple((name, colors[name]) for name in wanted if name in colors)


def _kind(header: PngHeader, *, transparent: bool) -> tuple[Layout, str, int]:
    """Layout as decoded, kind in words, and bits of a sample."""
    color = Color.GRAY if header.kind in (GRAY, GRAY_ALPHA) else Color.RGB
    alpha = transparent or header.kind in (GRAY_ALPHA, RGB_ALPHA)
    bits = 8 if header.kind == PALETTE else header.bits
    kept = 1 if bits == 1 and not alpha else max(bits, 8)
    layout = Layout(width=header.width, height=header.height, color=color, alpha=alpha, bits=kept)
    if header.kind == PALETTE:
        return layout, "palette with transparency" if transparent else "palette", bits
    bits = 8 if bits == 1 and alpha else bits
    plain = kind_in_words(Layout(width=1, height=1, color=color, alpha=alpha and not transparent), header.bits)
    return layout, f"{plain} with a transparent colour" if transparent else plain, bits


def _animation(source: Source, chunks: tuple[Chunk, ...]) -> tuple[int, int]:
    """How many frames there are, and how often they are played; one frame for a still picture."""
    control = [chunk for chunk in chunks if chunk.kind == b"acTL" and chunk.length == 8]
    frames = sum(chunk.kind == b"fcTL" for chunk in chunks)
    content = content_of(source.file, control[0]) if control else None
    if content is None or frames < 2:
        return 1, 1
    if frames > MOST_FRAMES:
        raise ImageError(f"{source.path} says it has {frames} frames: expected at most {MOST_FRAMES}; split it")
    return frames, struct.unpack(">II", content)[1]
