"""Pictures of mixed sizes and kinds for a server under load."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image


@dataclass(kw_only=True)
class Sample:
    """A picture to send.

    Attributes:
        name: for messages.
        target: of the request.
        content: its body.
        digest: SHA-256 of what comes back, once that is known.
    """

    name: str
    target: str
    content: bytes
    digest: str = ""


def make_samples() -> list[Sample]:
    """Small ones and larger ones, of every engine-relevant kind; the same on each call."""
    made = [
        ("16x16 PNG", "", _encoded(16, 16, "PNG")),
        ("64x48 PNG", "", _encoded(64, 48, "PNG")),
        ("160x120 JPEG", "?format=jpg", _encoded(160, 120, "JPEG", quality=90)),
        ("200x150 WebP", "?format=webp", _encoded(200, 150, "WEBP", lossless=True)),
        ("120x90 PNG with alpha", "", _encoded(120, 90, "PNG", channels=4)),
        ("90x90 CMYK TIFF", "", _encoded(90, 90, "TIFF", mode="CMYK", channels=4)),
        ("300x220 JPEG to half", "?scale=0.5&format=png", _encoded(300, 220, "JPEG", quality=90)),
        ("64x64 animation", "?frames=all&format=webp", _animation(64, 3)),
        ("640x480 PNG, bicubic", "?engine=bicubic", _encoded(640, 480, "PNG")),
        ("320x240 PNG", "", _encoded(320, 240, "PNG")),
    ]
    return [Sample(name=name, target=f"/upscale{query}", content=content) for name, query, content in made]


def large_sample() -> Sample:
    """One whose result is of 18 MB."""
    content = _encoded(750, 500, "PNG")
    return Sample(name="750x500 PNG", target="/upscale?engine=bicubic&compression=0", content=content)


def _encoded(
    width: int, height: int, kind: str, *, channels: int = 3, mode: str | None = None, **options: Any
) -> bytes:
    image = _picture(width, height, channels, seed=width, mode=mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _animation(side: int, count: int) -> bytes:
    frames = [_picture(side, side, 3, seed=seed) for seed in range(count)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)
    return file.getvalue()


def _picture(width: int, height: int, channels: int, *, seed: int, mode: str | None = None) -> Image.Image:
    """Smooth noise: enlarged from a few values, as photos have large areas and edges."""
    values = np.random.default_rng(seed).integers(0, 256, (9, 9, channels), dtype=np.uint8)
    small = Image.frombytes(mode or {3: "RGB", 4: "RGBA"}[channels], (9, 9), values.tobytes())
    return small.resize((width, height), Image.Resampling.BICUBIC)
