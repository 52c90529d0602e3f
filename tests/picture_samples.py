"""One small picture file of every kind that is read, with the pixels it holds where nothing is lost."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Array = NDArray[Any]

HEIGHT, WIDTH = 17, 23

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

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


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and check sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def insert_png_chunks(content: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks added before its pixels."""
    return content[:33] + b"".join(png_chunk(*chunk) for chunk in chunks) + content[33:]


def packed_png(width: int, height: int, bits: int, kind: int, rows: list[bytes], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of rows that are packed already."""
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    content = PNG_SIGNATURE + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return insert_png_chunks(content, *chunks)


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, row step and column step of each pass."""


def interlaced_png(pixels: Array) -> bytes:
    """An interlaced RGB PNG of 8 or 16 bits."""
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    passes = (big_endian[top::down, left::right] for top, left, down, right in ADAM7)
    data = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8 * pixels.itemsize, 2, 0, 0, 1)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


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


def bmp_with_alpha(pixels: Array, profile: bytes = b"") -> bytes:
    """A BMP with the newest kind of header, 32 bits a pixel, 300 dpi, and if given a colour profile."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    colors = struct.pack("<I", 0x4D424544 if profile else 0x73524742) + bytes(48)
    ends = struct.pack("<IIII", 4, 124 + len(data) if profile else 0, len(profile), 0)
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, len(data), 11811, 11811, 0, 0)
    whole = head + masks + colors + ends + data + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(whole), 0, 0, 14 + 124) + whole


def _bytes(content: Callable[[], bytes], path: Path) -> None:
    path.write_bytes(content())


def _png(pixels: Array, alpha: Array | None = None, **options: Any) -> Sample:
    whole = pixels if alpha is None else np.dstack([pixels, alpha])
    squeezed = np.ascontiguousarray(whole[..., 0] if whole.shape[2] == 1 else whole)
    return Sample(
        ending=".png",
        write=partial(_bytes, lambda: bytes(imagecodecs.png_encode(squeezed, **options))),
        color="gray" if pixels.shape[2] == 1 else "RGB",
        bits=8 * pixels.itemsize,
        pixels=pixels,
        alpha=alpha,
        has_alpha=alpha is not None,
    )


def _packed(content: bytes, pixels: Array, alpha: Array | None = None, bits: int = 8) -> Sample:
    color = "gray" if pixels.shape[2] == 1 else "RGB"
    write = partial(_bytes, lambda: content)
    return Sample(
        ending=".png", write=write, color=color, bits=bits, pixels=pixels, alpha=alpha, has_alpha=alpha is not None
    )


def _gray_rows(bits: int) -> tuple[list[bytes], Array]:
    values = gradient(1)[..., 0] >> (8 - bits)
    digits = np.unpackbits(np.asarray(values)[..., None].astype(np.uint8), axis=-1)[..., 8 - bits :].reshape(HEIGHT, -1)
    return [row.tobytes() for row in np.packbits(digits, axis=1)], (values * (255 // (2**bits - 1)))[..., None]


def _keyed(pixels: Array) -> Sample:
    """A PNG with a transparent colour, that of pixel 3, 4, and a near one that stays opaque."""
    pixels = pixels.copy()
    pixels[5, 6], pixels[7, 8] = pixels[3, 4], pixels[3, 4] ^ 1
    key = pixels[3, 4]
    encoded = bytes(imagecodecs.png_encode(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    content = insert_png_chunks(encoded, (b"tRNS", key.astype(">u2").tobytes()))
    alpha = np.where((pixels == key).all(-1), 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return _packed(content, pixels, alpha, 8 * pixels.itemsize)


def _palette_png(*chunks: tuple[bytes, bytes]) -> bytes:
    rows = [row.tobytes() for row in indices()]
    return packed_png(WIDTH, HEIGHT, 8, 3, rows, (b"PLTE", PALETTE.astype(np.uint8).tobytes()), *chunks)


def _png_samples() -> dict[str, Sample]:
    colors, opacities = PALETTE.astype(np.uint8)[indices()], OPACITIES.astype(np.uint8)
    interlaced, deep = gradient(3), gradient(3, "uint16")
    moving = partial(save, frames_of()[0], "PNG", save_all=True, append_images=frames_of()[1:], duration=[40, 80, 120])
    (rows1, gray1), (rows2, gray2), (rows4, gray4) = (_gray_rows(bits) for bits in (1, 2, 4))
    return {
        "png-rgb8": _png(gradient(3)),
        "png-rgb16": _png(deep),
        "png-rgb16-dark": _png(deep >> 8),
        "png-gray8": _png(gradient(1)),
        "png-gray16": _png(gradient(1, "uint16")),
        "png-gray-alpha8": _png(gradient(1), opacity()),
        "png-gray-alpha16": _png(gradient(1, "uint16"), opacity("uint16")),
        "png-rgba8": _png(gradient(3), opacity()),
        "png-rgba16": _png(deep, opacity("uint16")),
        "png-palette": _packed(_palette_png(), colors),
        "png-palette-transparent": _packed(
            _palette_png((b"tRNS", opacities[:3].tobytes())), colors, opacities[indices()]
        ),
        "png-gray1": _packed(packed_png(WIDTH, HEIGHT, 1, 0, rows1), gray1, bits=1),
        "png-gray2": _packed(packed_png(WIDTH, HEIGHT, 2, 0, rows2), gray2),
        "png-gray4": _packed(packed_png(WIDTH, HEIGHT, 4, 0, rows4), gray4),
        "png-rgb-transparent-colour": _keyed(gradient(3)),
        "png-rgb16-transparent-colour": _keyed(deep),
        "png-gray-transparent": _keyed(gradient(1)),
        "png-gray16-transparent": _keyed(gradient(1, "uint16")),
        "png-interlaced": _packed(interlaced_png(interlaced), interlaced),
        "png-interlaced16": _packed(interlaced_png(deep), deep, bits=16),
        "apng": Sample(ending=".png", write=moving, color="RGB", pixels=gradient(3), has_alpha=True, frames=3),
    }


def _jpeg(image: Image.Image, color: str, **options: Any) -> Sample:
    return Sample(ending=".jpg", write=partial(save, image, "JPEG", quality=95, **options), color=color)


def _jpeg_samples() -> dict[str, Sample]:
    rgb = Image.fromarray(gradient(3))
    full: dict[str, Any] = {
        "exif": b"Exif\0\0" + exif(dpi=300),
        "xmp": XMP,
        "icc_profile": icc_profile(),
        "dpi": (300, 300),
    }
    phone = partial(save, rgb, "MPO", save_all=True, append_images=[Image.new("RGB", (12, 8))])
    return {
        "jpeg-rgb": _jpeg(rgb, "RGB"),
        "jpeg-gray": _jpeg(Image.fromarray(gradient(1)[..., 0]), "gray"),
        "jpeg-cmyk": _jpeg(Image.frombytes("CMYK", (WIDTH, HEIGHT), gradient(4).tobytes()), "CMYK"),
        "jpeg-progressive": _jpeg(rgb, "RGB", progressive=True),
        "jpeg-rotated": _jpeg(Image.fromarray(turned(gradient(3), 6)), "RGB", exif=b"Exif\0\0" + exif(6)),
        "jpeg-exif-xmp-icc-dpi": _jpeg(rgb, "RGB", comment=b"a comment", **full),
        "mpo": Sample(ending=".jpg", write=phone, color="RGB"),
    }


def _other_samples() -> dict[str, Sample]:
    rgb, rgba = Image.fromarray(gradient(3)), Image.fromarray(np.dstack([gradient(3), opacity()]))
    mixed = Image.fromarray(np.where(indices()[..., None] > 0, np.asarray(rgba)[..., :3], 0).astype(np.uint8))
    palette = Image.frombytes("P", (WIDTH, HEIGHT), indices().tobytes())
    palette.putpalette(PALETTE.astype(np.uint8).tobytes())
    colors = PALETTE.astype(np.uint8)[indices()]
    see_through = np.where(indices() == 2, 0, 255).astype(np.uint8)
    moving: dict[str, Any] = {"save_all": True, "append_images": frames_of()[1:], "duration": [40, 80, 120], "loop": 0}
    first = frames_of()[0]
    meta: dict[str, Any] = {"exif": exif(), "icc_profile": icc_profile(), "xmp": XMP}
    bilevel_image = Image.fromarray(bilevel()[..., 0]).convert("1")
    known: dict[str, Any] = {"pixels": gradient(3)}
    return {
        "webp-lossy": Sample(ending=".webp", write=partial(save, mixed, "WEBP"), color="RGB"),
        "webp-lossless": Sample(
            ending=".webp", write=partial(save, rgb, "WEBP", lossless=True, **meta), color="RGB", **known
        ),
        "webp-lossless-alpha": Sample(
            ending=".webp",
            write=partial(save, rgba, "WEBP", lossless=True, exact=True),
            color="RGB",
            alpha=opacity(),
            has_alpha=True,
            **known,
        ),
        "webp-animated": Sample(
            ending=".webp",
            write=partial(save, first, "WEBP", lossless=True, **moving),
            color="RGB",
            has_alpha=True,
            frames=3,
            **known,
        ),
        "bmp": Sample(ending=".bmp", write=partial(save, rgb, "BMP"), color="RGB", **known),
        "bmp-gray": Sample(
            ending=".bmp",
            write=partial(save, Image.fromarray(gradient(1)[..., 0]), "BMP"),
            color="gray",
            pixels=gradient(1),
        ),
        "bmp-palette": Sample(ending=".bmp", write=partial(save, palette, "BMP"), color="RGB", pixels=colors),
        "bmp-1bit": Sample(
            ending=".bmp", write=partial(save, bilevel_image, "BMP"), color="gray", bits=1, pixels=bilevel()
        ),
        "bmp-alpha": Sample(
            ending=".bmp",
            write=partial(_bytes, lambda: bmp_with_alpha(np.asarray(rgba))),
            color="RGB",
            alpha=opacity(),
            has_alpha=True,
            **known,
        ),
        "gif": Sample(ending=".gif", write=partial(save, palette, "GIF"), color="RGB", pixels=colors),
        "gif-transparent": Sample(
            ending=".gif",
            write=partial(save, palette, "GIF", transparency=2, optimize=False),
            color="RGB",
            pixels=colors,
            alpha=see_through,
            has_alpha=True,
        ),
        "gif-animated": Sample(ending=".gif", write=partial(save, first, "GIF", **moving), color="RGB", frames=3),
    }


def _avif(bits: int, channels: int, **options: Any) -> Sample:
    alpha = channels in (2, 4)
    deep = gradient(channels - alpha, "uint16") >> (16 - bits)
    values = deep if bits > 8 else deep.astype(np.uint8)
    opaque = opacity("uint16") >> (16 - bits)
    whole = np.dstack([values, opaque.astype(values.dtype)]) if alpha else values
    squeezed = np.ascontiguousarray(whole[..., 0] if channels == 1 else whole)

    def content() -> bytes:
        # Quality 100 with the identity matrix loses nothing.
        exact: dict[str, Any] = {} if channels == 1 else {"pixelformat": "444"}
        return bytes(imagecodecs.avif_encode(squeezed, level=100, bitspersample=bits, **exact, **options))

    def widened(samples: Array) -> Array:
        return samples if bits == 8 else np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16)

    return Sample(
        ending=".avif",
        write=partial(_bytes, content),
        color="gray" if channels == 1 else "RGB",
        bits=8 if bits == 8 else 16,
        pixels=widened(values),
        alpha=widened(opaque.astype(values.dtype)) if alpha else None,
        has_alpha=alpha,
    )


def _avif_samples() -> dict[str, Sample]:
    meta: dict[str, Any] = {"exif": exif(6, dpi=300), "icc_profile": icc_profile(), "xmp": XMP}
    frames = [frame.convert("RGB") for frame in frames_of()]
    moving = partial(save, frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100, quality=90)
    rotated = partial(save, Image.fromarray(turned(gradient(3), 6)), "AVIF", quality=95, subsampling="4:4:4", **meta)
    return {
        "avif": _avif(8, 3),
        "avif-10bit": _avif(10, 3),
        "avif-12bit": _avif(12, 3),
        "avif-alpha": _avif(8, 4),
        "avif-10bit-alpha": _avif(10, 4),
        "avif-gray": _avif(8, 1),
        "avif-rotated-exif-xmp-icc": Sample(ending=".avif", write=rotated, color="RGB"),
        "avif-animated": Sample(ending=".avif", write=moving, color="RGB", frames=3),
    }


def _all() -> dict[str, Sample]:
    from tests.picture_samples_tiff import tiff_samples

    return _png_samples() | _jpeg_samples() | _other_samples() | tiff_samples() | _avif_samples()


def write_sample(name: str, folder: Path) -> Path:
    """Writes the sample of a kind to a folder; its path."""
    sample = SAMPLES[name]
    path = folder / f"{name}{sample.ending}"
    sample.write(path)
    return path


SAMPLES = _all()
"""Every kind by name."""

KINDS: dict[str, Callable[[Path], Path]] = {name: partial(write_sample, name) for name in SAMPLES}
"""Writes the sample of a kind to a folder and gives its path."""
