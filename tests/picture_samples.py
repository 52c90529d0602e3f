"""One small picture file of every kind that is read, with the pixels it holds where nothing is lost."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from tests import picture_parts as parts
from tests.picture_samples_png import png_samples
from tests.picture_samples_tiff import tiff_samples


def bmp_with_alpha(pixels: parts.Array, profile: bytes = b"") -> bytes:
    """A BMP with the newest kind of header, 32 bits a pixel, 300 dpi, and if given a colour profile."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    colors = struct.pack("<I", 0x4D424544 if profile else 0x73524742) + bytes(48)
    ends = struct.pack("<IIII", 4, 124 + len(data) if profile else 0, len(profile), 0)
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, len(data), 11811, 11811, 0, 0)
    whole = head + masks + colors + ends + data + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(whole), 0, 0, 14 + 124) + whole


def _jpeg(image: Image.Image, color: str, **options: Any) -> parts.Sample:
    return parts.Sample(ending=".jpg", write=partial(parts.save, image, "JPEG", quality=95, **options), color=color)


def _jpeg_samples() -> dict[str, parts.Sample]:
    rgb = Image.fromarray(parts.gradient(3))
    full: dict[str, Any] = {
        "exif": b"Exif\0\0" + parts.exif(dpi=300),
        "xmp": parts.XMP,
        "icc_profile": parts.icc_profile(),
        "dpi": (300, 300),
    }
    phone = partial(parts.save, rgb, "MPO", save_all=True, append_images=[Image.new("RGB", (12, 8))])
    return {
        "jpeg-rgb": _jpeg(rgb, "RGB"),
        "jpeg-gray": _jpeg(Image.fromarray(parts.gradient(1)[..., 0]), "gray"),
        "jpeg-cmyk": _jpeg(Image.frombytes("CMYK", (parts.WIDTH, parts.HEIGHT), parts.gradient(4).tobytes()), "CMYK"),
        "jpeg-progressive": _jpeg(rgb, "RGB", progressive=True),
        "jpeg-rotated": _jpeg(
            Image.fromarray(parts.turned(parts.gradient(3), 6)), "RGB", exif=b"Exif\0\0" + parts.exif(6)
        ),
        "jpeg-exif-xmp-icc-dpi": _jpeg(rgb, "RGB", comment=b"a comment", **full),
        "mpo": parts.Sample(ending=".jpg", write=phone, color="RGB"),
    }


def _other_samples() -> dict[str, parts.Sample]:
    rgb, rgba = Image.fromarray(parts.gradient(3)), Image.fromarray(np.dstack([parts.gradient(3), parts.opacity()]))
    mixed = Image.fromarray(np.where(parts.indices()[..., None] > 0, np.asarray(rgba)[..., :3], 0).astype(np.uint8))
    palette = Image.frombytes("P", (parts.WIDTH, parts.HEIGHT), parts.indices().tobytes())
    palette.putpalette(parts.PALETTE.astype(np.uint8).tobytes())
    colors = parts.PALETTE.astype(np.uint8)[parts.indices()]
    see_through = np.where(parts.indices() == 2, 0, 255).astype(np.uint8)
    moving: dict[str, Any] = {
        "save_all": True,
        "append_images": parts.frames_of()[1:],
        "duration": [40, 80, 120],
        "loop": 0,
    }
    first = parts.frames_of()[0]
    meta: dict[str, Any] = {"exif": parts.exif(), "icc_profile": parts.icc_profile(), "xmp": parts.XMP}
    bilevel_image = Image.fromarray(parts.bilevel()[..., 0]).convert("1")
    known: dict[str, Any] = {"pixels": parts.gradient(3)}
    return {
        "webp-lossy": parts.Sample(ending=".webp", write=partial(parts.save, mixed, "WEBP"), color="RGB"),
        "webp-lossless": parts.Sample(
            ending=".webp", write=partial(parts.save, rgb, "WEBP", lossless=True, **meta), color="RGB", **known
        ),
        "webp-lossless-alpha": parts.Sample(
            ending=".webp",
            write=partial(parts.save, rgba, "WEBP", lossless=True, exact=True),
            color="RGB",
            alpha=parts.opacity(),
            has_alpha=True,
            **known,
        ),
        "webp-animated": parts.Sample(
            ending=".webp",
            write=partial(parts.save, first, "WEBP", lossless=True, **moving),
            color="RGB",
            has_alpha=True,
            frames=3,
            **known,
        ),
        "bmp": parts.Sample(ending=".bmp", write=partial(parts.save, rgb, "BMP"), color="RGB", **known),
        "bmp-gray": parts.Sample(
            ending=".bmp",
            write=partial(parts.save, Image.fromarray(parts.gradient(1)[..., 0]), "BMP"),
            color="gray",
            pixels=parts.gradient(1),
        ),
        "bmp-palette": parts.Sample(
            ending=".bmp", write=partial(parts.save, palette, "BMP"), color="RGB", pixels=colors
        ),
        "bmp-1bit": parts.Sample(
            ending=".bmp", write=partial(parts.save, bilevel_image, "BMP"), color="gray", bits=1, pixels=parts.bilevel()
        ),
        "bmp-alpha": parts.Sample(
            ending=".bmp",
            write=partial(parts.write_bytes, lambda: bmp_with_alpha(np.asarray(rgba))),
            color="RGB",
            alpha=parts.opacity(),
            has_alpha=True,
            **known,
        ),
        "gif": parts.Sample(ending=".gif", write=partial(parts.save, palette, "GIF"), color="RGB", pixels=colors),
        "gif-transparent": parts.Sample(
            ending=".gif",
            write=partial(parts.save, palette, "GIF", transparency=2, optimize=False),
            color="RGB",
            pixels=colors,
            alpha=see_through,
            has_alpha=True,
        ),
        "gif-animated": parts.Sample(
            ending=".gif", write=partial(parts.save, first, "GIF", **moving), color="RGB", frames=3
        ),
    }


def _avif(bits: int, channels: int, **options: Any) -> parts.Sample:
    alpha = channels in (2, 4)
    deep = parts.gradient(channels - alpha, "uint16") >> (16 - bits)
    values = deep if bits > 8 else deep.astype(np.uint8)
    opaque = parts.opacity("uint16") >> (16 - bits)
    whole = np.dstack([values, opaque.astype(values.dtype)]) if alpha else values
    squeezed = np.ascontiguousarray(whole[..., 0] if channels == 1 else whole)

    def content() -> bytes:
        # Quality 100 loses nothing here: the codec keeps RGB as it is.
        exact: dict[str, Any] = {} if channels == 1 else {"pixelformat": "444"}
        return bytes(imagecodecs.avif_encode(squeezed, level=100, bitspersample=bits, **exact, **options))

    def widened(samples: parts.Array) -> parts.Array:
        return samples if bits == 8 else np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16)

    return parts.Sample(
        ending=".avif",
        write=partial(parts.write_bytes, content),
        color="gray" if channels == 1 else "RGB",
        bits=8 if bits == 8 else 16,
        pixels=widened(values),
        alpha=widened(opaque.astype(values.dtype)) if alpha else None,
        has_alpha=alpha,
    )


def _avif_samples() -> dict[str, parts.Sample]:
    meta: dict[str, Any] = {"exif": parts.exif(6, dpi=300), "icc_profile": parts.icc_profile(), "xmp": parts.XMP}
    frames = [frame.convert("RGB") for frame in parts.frames_of()]
    moving = partial(parts.save, frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100, quality=90)
    rotated = partial(
        parts.save, Image.fromarray(parts.turned(parts.gradient(3), 6)), "AVIF", quality=95, subsampling="4:4:4", **meta
    )
    return {
        "avif": _avif(8, 3),
        "avif-10bit": _avif(10, 3),
        "avif-12bit": _avif(12, 3),
        "avif-alpha": _avif(8, 4),
        "avif-10bit-alpha": _avif(10, 4),
        "avif-gray": _avif(8, 1),
        "avif-rotated-exif-xmp-icc": parts.Sample(ending=".avif", write=rotated, color="RGB"),
        "avif-animated": parts.Sample(ending=".avif", write=moving, color="RGB", frames=3),
    }


def _all() -> dict[str, parts.Sample]:
    return png_samples() | _jpeg_samples() | _other_samples() | tiff_samples() | _avif_samples()


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
