"""Opening picture files of every format, told by their content, and telling what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from efdn.errors import ImageError
from efdn.files import reason_of
from efdn.pictures.stored import Source, Stored

NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF"

READERS = {
    "PNG": ("png.reading", "open_png"),
    "JPEG": ("jpeg.reading", "open_jpeg"),
    "WEBP": ("webp_reading", "open_webp"),
    "TIFF": ("tiff.reading", "open_tiff"),
    "BMP": ("bmp_reading", "open_bmp"),
    "GIF": ("gif_reading", "open_gif"),
    "AVIF": ("avif.reading", "open_avif"),
}
"""Module and function for each format, by Pillow's names of them."""

SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
)

OTHERS = (
    (8, b"CR\x02", "a camera's raw picture", "develop it to a 16-bit TIFF"),
    (4, b"ftypcrx", "a camera's raw picture", "develop it to a 16-bit TIFF"),
    (4, b"ftyphei", "a HEIC picture", "convert it to AVIF, PNG or TIFF"),
    (4, b"ftyphev", "a HEIC picture", "convert it to AVIF, PNG or TIFF"),
    (4, b"ftypmif1", "a HEIF picture", "convert it to AVIF, PNG or TIFF"),
    (0, b"\xff\x0a", "a JPEG XL picture", "convert it to PNG or TIFF"),
    (4, b"JXL ", "a JPEG XL picture", "convert it to PNG or TIFF"),
    (4, b"jP  ", "a JPEG 2000 picture", "convert it to PNG or TIFF"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture", "convert it to PNG or TIFF"),
    (0, b"8BPS", "a Photoshop picture", "save it as TIFF"),
    (0, b"v/1\x01", "an OpenEXR picture", "convert it to a 16-bit TIFF"),
    (0, b"%PDF", "a PDF", "export its pages as PNG or TIFF"),
    (0, b"\0\0\x01\0", "an icon", "convert it to PNG"),
    (4, b"ftyp", "a video or an unknown picture", "convert it to PNG"),
)
"""Where, signature, what it is and what to do, of files that are often meant for pictures that are read."""


@contextmanager
def opened(path: Path, *, max_pixels: int) -> Iterator[Stored]:
    """Opens a picture file and reads its header; the body may decode its pixels.

    Raises:
        ImageError: missing, no picture, broken, of a kind that is not read, or larger than `max_pixels`.
    """
    with telling(path), path.open("rb") as file:
        module, function = READERS[format_of(path, file.read(64))]
        reader: Callable[[Source], Stored] = getattr(import_module(f"efdn.pictures.{module}"), function)
        yield reader(Source(path=path, file=file, max_pixels=max_pixels))


def format_of(path: Path, head: bytes) -> str:
    """Pillow's name of the format of a file that begins so.

    Raises:
        ImageError: it is none that is read.
    """
    if not head:
        raise ImageError(f"{path} is empty, expected a {NAMES} picture: get a whole copy")
    brands = {head[at : at + 4] for at in (8, *range(16, len(head), 4))}
    if head[4:8] == b"ftyp" and brands & {b"avif", b"avis"}:
        return "AVIF"
    for at, signature, kind, instead in OTHERS:
        if head.startswith(signature, at):
            raise ImageError(f"{path} is {kind}, expected {NAMES}: {instead}")
    for at, signature, name in SIGNATURES:
        if head.startswith(signature, at) and (name != "WEBP" or head[:4] == b"RIFF"):
            return name
    raise ImageError(f"{path} is not a {NAMES} picture, whatever its name says")


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Tells all that goes wrong in reading a picture as an ImageError of one line."""
    try:
        yield
    except (ImageError, ImportError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ImageError(f"no file {path}: expected a picture ({NAMES})") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder: expected one picture ({NAMES})") from error
    # Decoders raise whatever comes to them on broken data.
    except Exception as error:
        if path.is_dir():
            raise ImageError(f"{path} is a folder: expected one picture ({NAMES})") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"cannot read {path}: {reason_of(error)}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is a broken or truncated picture ({reason}): get a whole copy") from error
