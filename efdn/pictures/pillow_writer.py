"""JPEG, WebP, BMP and AVIF, written by Pillow from a whole picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from efdn.errors import OutputError
from efdn.pictures.formats import Format, held
from efdn.pictures.picture import NOTHING, Color, Layout, Metadata, Pixels
from efdn.pictures.pillow_frames import raise_pillows_limit
from efdn.pictures.rows import SaveOptions
from efdn.pictures.tiff.ifd import exif_with_dpi
from efdn.pictures.tiff.writer import TiffEncoder

if TYPE_CHECKING:
    from PIL import Image

JPEG_QUALITY, AVIF_QUALITY = 95, 90
WEBP_EFFORT, WEBP_METHOD = 60, 4
"""Of lossless WebP: more takes far longer for little."""

HIGHEST_COMPRESSION, HIGHEST_METHOD = 9, 6
XMP_MARKER, XMP_NAMESPACE = b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0"

JPEG_BYTES_A_SAMPLE = 2
"""Noise at the highest quality comes to 1.2. What is not filled is not taken from memory."""

_JPEG_LOCK = Lock()


class PillowEncoder:
    """Collects a picture's rows and writes it in the end.

    Args:
        file: to write to.
        layout: of the picture.
        metadata: to carry; what the format does not hold is left out.
        options: see `SaveOptions`.
        chosen: the format.
    """

    def __init__(
        self, file: BinaryIO, layout: Layout, metadata: Metadata, options: SaveOptions, chosen: Format
    ) -> None:
        self._file, self._layout, self._format = file, layout, chosen
        self._arguments = save_arguments(chosen, metadata, options)
        self._pixels: Pixels = np.empty((layout.height, layout.width, layout.channels), np.uint8)
        self._rows = 0

    def write(self, rows: Pixels) -> None:
        """Adds rows, see `RowWriter`."""
        self._pixels[self._rows : self._rows + len(rows)] = rows
        self._rows += len(rows)

    def finish(self) -> None:
        """Encodes the picture; all rows are there."""
        image = image_of(self._pixels, self._layout)
        if self._layout.bits == 1:
            from PIL import Image

            image = image.convert("1", dither=Image.Dither.NONE)
        del self._pixels
        save(image, self._file, self._format, self._arguments)


class PillowFrames:
    """Collects frames, compressed, in a file and writes an animation of them in the end.

    Args:
        file: to write to.
        spool: to collect them in.
        layout: of all frames.
        metadata: to carry; what the format does not hold is left out.
        options: see `SaveOptions`.
        chosen: the format.
        loop: how often it is shown, 0 for ever; AVIF is always shown for ever.
    """

    def __init__(
        self,
        file: BinaryIO,
        spool: BinaryIO,
        layout: Layout,
        metadata: Metadata,
        options: SaveOptions,
        chosen: Format,
        loop: int,
    ) -> None:
        self._file, self._spool, self._layout, self._format = file, spool, layout, chosen
        self._pages = TiffEncoder(spool, SaveOptions(), big=True)
        self._arguments = save_arguments(chosen, metadata, options)
        if chosen.loops:
            self._arguments["loop"] = loop
        self._durations_ms: list[int] = []
        self._time_ms = 0.0

    def add(self, pixels: Pixels, duration_ms: float) -> None:
        """Adds a frame."""
        self._pages.begin(self._layout, NOTHING)
        self._pages.write(pixels)
        self._pages.finish()
        # Rounded so that what is lost in one frame is made up for by the next.
        before, self._time_ms = round(self._time_ms), self._time_ms + duration_ms
        self._durations_ms.append(round(self._time_ms) - before)

    def finish(self) -> None:
        """Encodes the animation; all frames are there."""
        from PIL import Image

        self._spool.flush()
        self._spool.seek(0)
        raise_pillows_limit(self._layout.width * self._layout.height)
        with Image.open(self._spool, formats=["TIFF"]) as frames:
            arguments = {**self._arguments, "save_all": True, "duration": self._durations_ms}
            save(frames, self._file, self._format, arguments)


def image_of(pixels: Pixels, layout: Layout) -> Image.Image:
    """Pillow's image of (H, W, C) uint8."""
    from PIL import Image

    mode = {Color.GRAY: "L", Color.RGB: "RGB", Color.CMYK: "CMYK"}[layout.color] + ("A" if layout.alpha else "")
    return Image.frombuffer(mode, (layout.width, layout.height), np.ascontiguousarray(pixels), "raw", mode, 0, 1)


def save(image: Image.Image, file: BinaryIO, chosen: Format, arguments: dict[str, Any]) -> None:
    """Has Pillow encode an image.

    Raises:
        OutputError: the encoder refuses it.
        OSError: the file cannot be written.
    """
    plain = _PlainFile(file)
    try:
        with _room_for(image, chosen):
            image.save(cast("IO[bytes]", plain), format=chosen.name, **arguments)
    except (ValueError, RuntimeError, SyntaxError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise OutputError(f"{chosen.name}'s encoder refused the picture ({reason}): choose a .png or .tif") from error
    except OSError as error:
        # An encoder's own failures have no number of the operating system's.
        if plain.failed or error.errno is not None:
            raise
        raise OutputError(f"{chosen.name}'s encoder failed ({error}): choose a .png or .tif") from error


@contextmanager
def _room_for(image: Image.Image, chosen: Format) -> Iterator[None]:
    """Lets a JPEG with optimised tables grow beyond what Pillow expects of it, as noise does: it would fail."""
    from PIL import ImageFile

    if chosen.name != "JPEG":
        yield
        return
    with _JPEG_LOCK:
        before = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(before, JPEG_BYTES_A_SAMPLE * len(image.getbands()) * image.width * image.height)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = before


def save_arguments(chosen: Format, metadata: Metadata, options: SaveOptions) -> dict[str, Any]:
    """What Pillow is told besides the picture."""
    kept = held(chosen, metadata)
    exif = kept.exif
    arguments: dict[str, Any] = {"icc_profile": kept.icc_profile, "dpi": kept.dpi}
    if chosen.name == "JPEG":
        arguments |= {"quality": options.quality or JPEG_QUALITY, "subsampling": "4:4:4", "optimize": True}
        arguments["comment"] = kept.comment
        arguments["extra"] = None if kept.xmp is None else _xmp_segment(kept.xmp)
        arguments["exif"] = None if exif is None else b"Exif\0\0" + exif
    elif chosen.name in ("WEBP", "AVIF"):
        if kept.dpi is not None:
            exif = exif_with_dpi(exif, kept.dpi)
        arguments |= {"exif": exif, "xmp": kept.xmp}
        if chosen.name == "WEBP":
            arguments |= webp_arguments(options)
        else:
            arguments |= {"quality": options.quality or AVIF_QUALITY, "subsampling": "4:4:4"}
    return {name: value for name, value in arguments.items() if value is not None}


def webp_arguments(options: SaveOptions) -> dict[str, Any]:
    """Lossless unless a quality is given; colours under full transparency stay."""
    effort, method = WEBP_EFFORT, WEBP_METHOD
    if options.compression is not None:
        effort = round(100 * options.compression / HIGHEST_COMPRESSION)
        method = round(HIGHEST_METHOD * options.compression / HIGHEST_COMPRESSION)
    if options.quality is not None:
        return {"quality": options.quality, "method": method, "exact": True}
    return {"lossless": True, "quality": effort, "method": method, "exact": True}


def _xmp_segment(xmp: bytes) -> bytes:
    """As a JPEG has it; Pillow before 11 does not write it itself."""
    return XMP_MARKER + struct.pack(">H", 2 + len(XMP_NAMESPACE) + len(xmp)) + XMP_NAMESPACE + xmp


class _PlainFile:
    """A file for Pillow, which would otherwise write past Python to its number, and tell less of what went wrong."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failed = False

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError:
            self.failed = True
            raise

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self._file.tell()
