"""The PNG files among the sample pictures, and what makes PNGs by hand."""

from __future__ import annotations

import struct
import zlib
from functools import partial
from typing import Any

import imagecodecs
import numpy as np

from tests import picture_parts as parts

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


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


def interlaced_png(pixels: parts.Array) -> bytes:
    """An interlaced RGB PNG of 8 or 16 bits."""
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    passes = (big_endian[top::down, left::right] for top, left, down, right in ADAM7)
    data = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    head = struct.pack(">IIBBBBB", parts.WIDTH, parts.HEIGHT, 8 * pixels.itemsize, 2, 0, 0, 1)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


def _png(pixels: parts.Array, alpha: parts.Array | None = None, **options: Any) -> parts.Sample:
    whole = pixels if alpha is None else np.dstack([pixels, alpha])
    squeezed = np.ascontiguousarray(whole[..., 0] if whole.shape[2] == 1 else whole)
    return parts.Sample(
        ending=".png",
        write=partial(parts.write_bytes, lambda: bytes(imagecodecs.png_encode(squeezed, **options))),
        color="gray" if pixels.shape[2] == 1 else "RGB",
        bits=8 * pixels.itemsize,
        pixels=pixels,
        alpha=alpha,
        has_alpha=alpha is not None,
    )


def _packed(content: bytes, pixels: parts.Array, alpha: parts.Array | None = None, bits: int = 8) -> parts.Sample:
    color = "gray" if pixels.shape[2] == 1 else "RGB"
    write = partial(parts.write_bytes, lambda: content)
    return parts.Sample(
        ending=".png", write=write, color=color, bits=bits, pixels=pixels, alpha=alpha, has_alpha=alpha is not None
    )


def _gray_rows(bits: int) -> tuple[list[bytes], parts.Array]:
    values = parts.gradient(1)[..., 0] >> (8 - bits)
    digits = np.unpackbits(np.asarray(values)[..., None].astype(np.uint8), axis=-1)[..., 8 - bits :].reshape(
        parts.HEIGHT, -1
    )
    return [row.tobytes() for row in np.packbits(digits, axis=1)], (values * (255 // (2**bits - 1)))[..., None]


def _keyed(pixels: parts.Array) -> parts.Sample:
    """A PNG with a transparent colour, that of pixel 3, 4, and a near one that stays opaque."""
    pixels = pixels.copy()
    pixels[5, 6], pixels[7, 8] = pixels[3, 4], pixels[3, 4] ^ 1
    key = pixels[3, 4]
    encoded = bytes(imagecodecs.png_encode(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    content = insert_png_chunks(encoded, (b"tRNS", key.astype(">u2").tobytes()))
    alpha = np.where((pixels == key).all(-1), 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return _packed(content, pixels, alpha, 8 * pixels.itemsize)


def _palette_png(*chunks: tuple[bytes, bytes]) -> bytes:
    rows = [row.tobytes() for row in parts.indices()]
    return packed_png(
        parts.WIDTH, parts.HEIGHT, 8, 3, rows, (b"PLTE", parts.PALETTE.astype(np.uint8).tobytes()), *chunks
    )


def png_samples() -> dict[str, parts.Sample]:
    colors, opacities = parts.PALETTE.astype(np.uint8)[parts.indices()], parts.OPACITIES.astype(np.uint8)
    interlaced, deep = parts.gradient(3), parts.gradient(3, "uint16")
    moving = partial(
        parts.save,
        parts.frames_of()[0],
        "PNG",
        save_all=True,
        append_images=parts.frames_of()[1:],
        duration=[40, 80, 120],
    )
    (rows1, gray1), (rows2, gray2), (rows4, gray4) = (_gray_rows(bits) for bits in (1, 2, 4))
    return {
        "png-rgb8": _png(parts.gradient(3)),
        "png-rgb16": _png(deep),
        "png-rgb16-dark": _png(deep >> 8),
        "png-gray8": _png(parts.gradient(1)),
        "png-gray16": _png(parts.gradient(1, "uint16")),
        "png-gray-alpha8": _png(parts.gradient(1), parts.opacity()),
        "png-gray-alpha16": _png(parts.gradient(1, "uint16"), parts.opacity("uint16")),
        "png-rgba8": _png(parts.gradient(3), parts.opacity()),
        "png-rgba16": _png(deep, parts.opacity("uint16")),
        "png-palette": _packed(_palette_png(), colors),
        "png-palette-transparent": _packed(
            _palette_png((b"tRNS", opacities[:3].tobytes())), colors, opacities[parts.indices()]
        ),
        "png-gray1": _packed(packed_png(parts.WIDTH, parts.HEIGHT, 1, 0, rows1), gray1, bits=1),
        "png-gray2": _packed(packed_png(parts.WIDTH, parts.HEIGHT, 2, 0, rows2), gray2),
        "png-gray4": _packed(packed_png(parts.WIDTH, parts.HEIGHT, 4, 0, rows4), gray4),
        "png-rgb-transparent-colour": _keyed(parts.gradient(3)),
        "png-rgb16-transparent-colour": _keyed(deep),
        "png-gray-transparent": _keyed(parts.gradient(1)),
        "png-gray16-transparent": _keyed(parts.gradient(1, "uint16")),
        "png-interlaced": _packed(interlaced_png(interlaced), interlaced),
        "png-interlaced16": _packed(interlaced_png(deep), deep, bits=16),
        "apng": parts.Sample(
            ending=".png", write=moving, color="RGB", pixels=parts.gradient(3), has_alpha=True, frames=3
        ),
    }
