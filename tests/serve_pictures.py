"""Pictures, traps that look like pictures, and forms, as clients send them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.inference_samples import Array, random_pixels


def png(height: int = 13, width: int = 17, seed: int = 0) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.fromarray(random_pixels(height, width, 3, seed=seed)).save(file, "PNG")
    return file.getvalue()


def animation(count: int = 3) -> bytes:
    """A WebP of several frames."""
    frames = [Image.fromarray(random_pixels(14, 15, 3, seed=seed)) for seed in range(count)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    return file.getvalue()


def png_bomb(side: int) -> bytes:
    """A PNG that announces side x side pixels and brings a few."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def gif_bomb(side: int) -> bytes:
    """A GIF whose screen is of side x side pixels."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + frame + b"\x3b"


def tiff_bomb(side: int) -> bytes:
    """A TIFF that announces side x side pixels in one strip of a few bytes."""
    entries = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, side), (279, 16)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + struct.pack("<H", len(entries)) + body + bytes(4)


def pixels_of(content: bytes) -> Array:
    """A picture's pixels, by Pillow."""
    return np.asarray(Image.open(io.BytesIO(content)))


def form(*parts: bytes, boundary: str = "sep") -> tuple[bytes, dict[str, str]]:
    """A body of parts, each with its header, and the headers of its request."""
    mark = boundary.encode()
    body = b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + mark + b"--\r\n"
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def file_part(content: bytes, name: str = "a.png", field_name: str = "file") -> bytes:
    """A part that is a file."""
    start = f'Content-Disposition: form-data; name="{field_name}"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
    return start.encode() + content
