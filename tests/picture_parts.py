"""What the sample pictures are made of: pixels, palettes, profiles and EXIF data."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Array = NDArray[Any]


HEIGHT, WIDTH = 17, 23


XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'tiff:Orientation="1" exif:PixelXDimension="23"><exif:PixelYDimension>17</exif:PixelYDimension>'
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A kind of picture file.

    Attributes:
        ending: of its name.
        write: writes it to a path.
        color: Pillow-independent name of the color as read: "gray", "RGB" or "CMYK".
        bits: of a sample as read, 1, 8 or 16.
        pixels: (H, W, C) as it is to be read, None where the format loses.
        alpha: (H, W) of the same type; None where there is none, or the format loses.
        has_alpha: whether an alpha channel is read.
        frames: how many pictures the file has.
    """

    ending: str
    write: Callable[[Path], None]
    color: str
    bits: int = 8
    pixels: Array | None = None
    alpha: Array | None = None
    has_alpha: bool = False
    frames: int = 1


def gradient(channels: int, dtype: str = "uint8", seed: int = 0) -> Array:
    """(17, 23, channels): a slope, different in each channel, with noise over the whole range of the type."""
    top = np.iinfo(dtype).max
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    slopes = [rows * (index + 1) / (4 * HEIGHT) + columns / (2 * WIDTH) for index in range(channels)]
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH, channels)) * 0.2
    values = np.asarray((np.stack(slopes, -1) / 1.6 + noise) * top).astype(dtype)
    values[0, 0], values[-1, -1] = 0, top
    return values


def opacity(dtype: str = "uint8") -> Array:
    """(17, 23): from transparent on the left to opaque on the right, never 0 but in the first column."""
    top = np.iinfo(dtype).max
    line = (np.arange(WIDTH) / (WIDTH - 1) * top).round().astype(dtype)
    return np.ascontiguousarray(np.broadcast_to(line, (HEIGHT, WIDTH)))


def bilevel() -> Array:
    """(17, 23, 1), 0 and 255."""
    return np.where(gradient(1) > 110, 255, 0).astype(np.uint8)


def indices() -> Array:
    """(17, 23), 0 to 6."""
    return (gradient(1)[..., 0] // 40).astype(np.uint8)


PALETTE = np.array([(9, 8, 7), (250, 0, 0), (0, 250, 3), (10, 20, 240), (255, 255, 255), (90, 80, 7), (1, 77, 78)])


OPACITIES = np.array([0, 128, 255, 255, 255, 255, 255])


def icc_profile() -> bytes:
    """An sRGB profile, always the same."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2024, 1, 2, 3, 4, 5) + profile[36:]


def exif(orientation: int = 1, *, dpi: float = 72.0, thumbnail: bytes = b"") -> bytes:
    """A little-endian TIFF structure with the tags that matter here, Exif and GPS IFDs, and if given a thumbnail."""
    first = Image.Exif()
    first[0x0112], first[0x010F], first[0x011A], first[0x011B], first[0x0128] = orientation, "Maker", dpi, dpi, 2
    details = first.get_ifd(0x8769)
    details[0xA002], details[0xA003], details[0x9003] = WIDTH, HEIGHT, "2024:01:02 03:04:05"
    details[0x927C] = bytes(range(200))  # MakerNote, which only its maker understands.
    first.get_ifd(0x8825)[1] = "N"
    content = first.tobytes().removeprefix(b"Exif\0\0")
    return _with_thumbnail(content, thumbnail) if thumbnail else content


def _with_thumbnail(content: bytes, thumbnail: bytes) -> bytes:
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    content += b"\0" * (len(content) % 2)
    second = len(content)
    entries = ((0x0103, 3, 6), (0x0201, 4, second + 2 + 3 * 12 + 4), (0x0202, 4, len(thumbnail)))
    ifd = b"".join(
        struct.pack(order + "HHI" + ("HH" if kind == 3 else "I"), tag, kind, 1, value, *((0,) if kind == 3 else ()))
        for tag, kind, value in entries
    )
    patched = bytearray(content)
    struct.pack_into(order + "I", patched, start + 2 + 12 * count, second)
    return bytes(patched) + struct.pack(order + "H", 3) + ifd + bytes(4) + thumbnail


def turned(pixels: Array, orientation: int) -> Array:
    """An upright picture as a camera with this orientation stores it; written apart from the reader's own way."""
    stored = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.flipud(np.fliplr(p)),
        4: np.flipud,
        5: lambda p: np.swapaxes(p, 0, 1),
        6: lambda p: np.flipud(np.swapaxes(p, 0, 1)),
        7: lambda p: np.flipud(np.fliplr(np.swapaxes(p, 0, 1))),
        8: lambda p: np.fliplr(np.swapaxes(p, 0, 1)),
    }
    return np.ascontiguousarray(stored[orientation](pixels))


def frames_of(count: int = 3) -> list[Image.Image]:
    """RGBA frames that change in part, the first opaque."""
    first = np.dstack([gradient(3), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    frames = [first.copy() for _ in range(count)]
    for index in range(1, count):
        frames[index][4 : 6 + index, 5 : 9 + index] = (200, 10 * index, 30, 255)
    return [Image.fromarray(frame) for frame in frames]


def save(image: Image.Image, kind: str, path: Path, **options: Any) -> None:
    """Writes a Pillow image."""
    image.save(path, kind, **options)


def write_bytes(content: Callable[[], bytes], path: Path) -> None:
    path.write_bytes(content())
