"""Pictures and metadata to be written, of every kind, and a CMYK profile."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from efdn.pictures.formats import FORMATS
from efdn.pictures.picture import NOTHING, Color, Layout, Metadata, Pixels
from efdn.pictures.rows import DEFAULT_SAVING, SaveOptions
from efdn.pictures.writing import open_writer

XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>día</rdf:RDF></x:xmpmeta>'.encode()
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
MAKE, MODEL, ARTIST, COPYRIGHT, DATE = 0x010F, 0x0110, 0x013B, 0x8298, 0x0132
EXPOSURE_TIME, MAKER_NOTE, LATITUDE = 0x829A, 0x927C, 2


def pixels_of(layout: Layout, seed: int = 0) -> Pixels:
    """(H, W, C): a wave with noise, on all values of the depth; in alpha, some of all, some of nothing."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: layout.height, : layout.width]
    most = 65535 if layout.bits == 16 else 255
    planes = [np.sin(x / (3 + index) + y / 5 + index) * 0.4 + 0.5 for index in range(layout.channels)]
    values = np.stack(planes, axis=2) * most + random.normal(0, most / 40, (layout.height, layout.width, 1))
    if layout.alpha:
        values[: layout.height // 3, :, -1] = 0
        values[layout.height // 2 :, :, -1] = most
    pixels: Pixels = np.clip(np.rint(values), 0, most).astype(layout.dtype)
    return (pixels >= 128).astype(np.uint8) * np.uint8(255) if layout.bits == 1 else pixels


@cache
def rgb_profile() -> bytes:
    """sRGB, as LittleCMS makes it, with the time of day in it."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> bytes:
    """With tags of the camera, of the exposure and of the place."""
    content = Image.Exif()
    content[MAKE], content[MODEL] = "Maker", "Model of some length"
    content[ARTIST], content[COPYRIGHT], content[DATE] = "Ada", "2026 Ada", "2026:01:02 03:04:05"
    content.get_ifd(EXIF_IFD).update({EXPOSURE_TIME: IFDRational(1, 125), MAKER_NOTE: b"secret" * 5})
    content.get_ifd(GPS_IFD).update({1: "N", LATITUDE: (IFDRational(52), IFDRational(31), IFDRational(123, 10))})
    return content.tobytes()[6:]


def big_endian_exif() -> bytes:
    """Model and, in the Exif directory, two times of exposure in a row; most significant byte first."""
    model = struct.pack(">HHII", MODEL, 2, 6, 100)
    pointer = struct.pack(">HHII", EXIF_IFD, 4, 1, 38)
    main = struct.pack(">H", 2) + model + pointer + bytes(4)
    sub = struct.pack(">H", 1) + struct.pack(">HHII", EXPOSURE_TIME, 5, 1, 110) + bytes(4)
    content = (b"MM\0*" + struct.pack(">I", 8) + main + sub).ljust(100, b"\0")
    return content + b"Canon\0".ljust(10, b"\0") + struct.pack(">II", 1, 250)


def full_metadata() -> Metadata:
    """One of everything."""
    return Metadata(
        icc_profile=rgb_profile(),
        exif=exif(),
        xmp=XMP,
        dpi=(300.0, 150.0),
        png_chunks=((b"gAMA", struct.pack(">I", 45455)), (b"tEXt", b"Title\0A title")),
        comment=b"a comment",
    )


def cmyk_profile() -> bytes:
    """A profile of a printer whose inks are red-, green- and blue-free at will: 16 corners, a line between each.

    Its Lab values are those of pure screen colours, times what black leaves.
    """
    lab = {0: (100, 0, 0), 1: (91, -48, -14), 2: (60, 98, -61), 4: (97, -22, 94), 3: (32, 79, -108), 5: (88, -86, 83)}
    lab |= {6: (53, 80, 67), 7: (10, 0, 0)}
    corners = []
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        light, a, b = lab[cyan | magenta << 1 | yellow << 2]
        left = 0.1 if black else 1.0
        corners += [light * left * 652.8, (a * left + 128) * 256, (b * left + 128) * 256]
    table = struct.pack(">4s4xBBBx", b"mft2", 4, 3, 2)
    table += struct.pack(">9i", *(65536 if index % 4 == 0 else 0 for index in range(9))) + struct.pack(">HH", 2, 2)
    table += struct.pack(">8H", *[0, 65535] * 4) + struct.pack(">48H", *map(round, corners))
    table += struct.pack(">6H", *[0, 65535] * 3)
    text = struct.pack(">4s4xI", b"desc", 8) + b"printer\0" + bytes(4 + 4 + 2 + 1 + 67)
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, b"A2B0": table}
    directory, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        directory += struct.pack(">4sII", name, at + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    kinds = b"prtrCMYKLab "
    header = struct.pack(">I4sI", at + len(body), bytes(4), 0x02400000) + kinds + bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body


LAYOUTS = [
    Layout(width=61, height=43, color=color, alpha=alpha, bits=bits)
    for color in Color
    for alpha in (False, True)
    for bits in (1, 8, 16)
    if bits > 1 or (color is Color.GRAY and not alpha)
]

RGB = Layout(width=61, height=43, color=Color.RGB)
ENDINGS = [known.endings[0] for known in FORMATS]


def write(
    path: Path,
    pixels: Pixels,
    layout: Layout,
    metadata: Metadata = NOTHING,
    options: SaveOptions = DEFAULT_SAVING,
    rows: int = 7,
) -> None:
    """Writes a picture, some rows at a time."""
    with open_writer(path, layout, metadata, options) as writer:
        for top in range(0, len(pixels), rows):
            writer.write(pixels[top : top + rows])


def with_pillow(path: Path) -> Pixels:
    """(H, W, C) as Pillow reads it; 1 bit as 0 and 255."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return pixels.reshape(*pixels.shape[:2], -1)
