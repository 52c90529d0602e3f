"""The TIFF files among the sample pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from tests import picture_parts as parts

Array = parts.Array


def premultiplied(pixels: Array, alpha: Array) -> Array:
    """Colours times opacity, as associated alpha stores them."""
    top = np.iinfo(pixels.dtype).max
    return np.rint(pixels.astype(np.float64) * alpha[..., None] / top).astype(pixels.dtype)


def _write(pixels: Array, settings: dict[str, Any], path: Path) -> None:
    tifffile.imwrite(path, pixels, **settings)


def _tiff(pixels: Array, alpha: Array | None = None, **options: Any) -> parts.Sample:
    """A sample that tifffile writes; options go to it."""
    color = {1: "gray", 3: "RGB", 4: "CMYK"}[pixels.shape[2]]
    whole = pixels if alpha is None else np.dstack([pixels, alpha])
    squeezed = whole[..., 0] if whole.shape[2] == 1 else whole
    photometric = {"gray": "minisblack", "RGB": "rgb", "CMYK": "separated"}[color]
    if options.get("planarconfig") == "separate":
        squeezed = np.moveaxis(squeezed, -1, 0)
    if alpha is not None:
        options.setdefault("extrasamples", ["unassalpha"])
    settings = {"photometric": photometric, "metadata": None, **options}
    return parts.Sample(
        ending=".tif",
        write=partial(_write, np.ascontiguousarray(squeezed), settings),
        color=color,
        bits=8 * pixels.itemsize,
        pixels=pixels,
        alpha=alpha,
        has_alpha=alpha is not None,
    )


def _premultiplied(dtype: str) -> parts.Sample:
    pixels, alpha = parts.gradient(3, dtype), parts.opacity(dtype)
    stored = premultiplied(pixels, alpha)
    # What reading gives back exactly: colours divided by opacity again, black where nothing is to be seen.
    top = np.iinfo(dtype).max
    divided = np.floor(stored.astype(np.float64) * top / np.maximum(alpha, 1)[..., None] + 0.5)
    straight = np.where(alpha[..., None] > 0, np.minimum(divided, top), 0).astype(dtype)
    written = _tiff(stored, alpha, extrasamples=["assocalpha"])
    return parts.Sample(
        ending=".tif", write=written.write, color="RGB", bits=written.bits, pixels=straight, alpha=alpha, has_alpha=True
    )


def _pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for index in range(3):
            writer.write(parts.gradient(3, seed=index), photometric="rgb", metadata=None)


def _saved(write: Callable[[Path], None], pixels: Array | None, color: str, bits: int = 8) -> parts.Sample:
    return parts.Sample(ending=".tif", write=write, color=color, bits=bits, pixels=pixels)


def _palette(path: Path) -> None:
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, : len(parts.PALETTE)] = parts.PALETTE.T * 257
    tifffile.imwrite(path, parts.indices(), photometric="palette", colormap=colormap, metadata=None)


def tiff_samples() -> dict[str, parts.Sample]:
    """Every kind of TIFF by name."""
    rgb, rgb16, gray16 = parts.gradient(3), parts.gradient(3, "uint16"), parts.gradient(1, "uint16")
    bilevel = parts.bilevel()
    bits = Image.fromarray(bilevel[..., 0]).convert("1")
    fax = "group4" if hasattr(imagecodecs, "ccittfax4_decode") else None
    inverted: dict[str, Any] = {"tiffinfo": {262: 0}}
    tags: dict[str, Any] = {
        "resolution": (300, 300),
        "resolutionunit": 2,
        "iccprofile": parts.icc_profile(),
        "software": "a program",
        "extratags": [(700, 1, len(parts.XMP), parts.XMP, True), (274, 3, 1, 6, True), (271, 2, 6, "Maker", True)],
    }
    turned = parts.turned(rgb, 6)
    upright = _tiff(turned, **tags)
    return {
        "tiff-rgb8": _tiff(rgb),
        "tiff-rgba8": _tiff(rgb, parts.opacity()),
        "tiff-rgb16": _tiff(rgb16),
        "tiff-rgb16-dark": _tiff(rgb16 >> 8),
        "tiff-rgba16": _tiff(rgb16, parts.opacity("uint16")),
        "tiff-gray8": _tiff(parts.gradient(1)),
        "tiff-gray16": _tiff(gray16),
        "tiff-gray16-white-is-zero": _saved(
            partial(_write, 65535 - gray16[..., 0], {"photometric": "miniswhite", "metadata": None}),
            gray16,
            "gray",
            16,
        ),
        "tiff-gray-alpha16": _tiff(gray16, parts.opacity("uint16")),
        "tiff-cmyk8": _tiff(parts.gradient(4)),
        "tiff-cmyk16": _tiff(parts.gradient(4, "uint16")),
        "tiff-rgba8-premultiplied": _premultiplied("uint8"),
        "tiff-rgba16-premultiplied": _premultiplied("uint16"),
        "tiff-1bit": _saved(partial(parts.save, bits, "TIFF"), bilevel, "gray", 1),
        "tiff-1bit-white-is-zero": _saved(
            partial(parts.save, bits, "TIFF", compression=fax, **inverted), bilevel, "gray", 1
        ),
        "tiff-palette": _saved(_palette, parts.PALETTE.astype(np.uint8)[parts.indices()], "RGB"),
        "tiff-lzw": _tiff(rgb, compression="lzw", predictor=True),
        "tiff-lzw16": _tiff(rgb16, compression="lzw", predictor=True),
        "tiff-deflate16": _tiff(rgb16, compression="zlib", predictor=True, rowsperstrip=5),
        "tiff-packbits": _tiff(rgb, compression="packbits"),
        "tiff-tiled16": _tiff(rgb16, tile=(16, 16)),
        "tiff-planar16": _tiff(rgb16, planarconfig="separate"),
        "tiff-planar-tiled": _tiff(rgb, planarconfig="separate", tile=(16, 16)),
        "tiff-big-endian16": _tiff(rgb16, byteorder=">"),
        "tiff-big-endian-lzw16": _tiff(rgb16, byteorder=">", compression="lzw", predictor=True),
        "tiff-bigtiff": _tiff(rgb16, bigtiff=True),
        "tiff-jpeg": _saved(partial(parts.save, Image.fromarray(rgb), "TIFF", compression="jpeg"), None, "RGB"),
        "tiff-ycbcr": _saved(partial(parts.save, Image.fromarray(rgb).convert("YCbCr"), "TIFF"), None, "RGB"),
        "tiff-exif-xmp-icc-dpi": _saved(upright.write, rgb, "RGB"),
        "tiff-pages": parts.Sample(ending=".tif", write=_pages, color="RGB", pixels=rgb, frames=3),
    }
