"""Pictures for the page of the server, and a server in a process of its own."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

MOST_BYTES = 200_000
"""Of a picture, on the server of these tests."""

SHOWN = {"engine": "bicubic", "format": "png", "color": "rgb", "bits": "8", "compression": "1"}
"""What the page asks for to compare with."""


GRACE_S = 10
"""For the server's last pictures."""


def addresses() -> Iterator[str]:
    """A fixture's one server: its address."""
    pytest.importorskip("fastapi", reason="needs fastapi (extra serve)")
    command = [sys.executable, "-m", "cli.serve", "--port", "0", "--engine", "onnxruntime-cpu"]
    command += ["--max-bytes", str(MOST_BYTES), "--grace", str(GRACE_S), "--quiet"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=Path(__file__).parent.parent
    )
    assert process.stderr is not None
    try:
        said = next((line for line in process.stderr if "http://" in line), "")
        assert said, "the server did not start"
        yield next(word for word in said.split() if word.startswith("http://"))
    finally:
        process.terminate()
        try:
            # A picture that a test has given up may be in the network still, which ends with its tile.
            process.communicate(timeout=GRACE_S + 30)
        finally:
            process.kill()


@dataclass(frozen=True)
class File:
    """A file as a browser gets it."""

    name: str
    type: str
    data: bytes = field(repr=False)

    @property
    def for_page(self) -> dict[str, str]:
        return {"name": self.name, "type": self.type, "data": base64.b64encode(self.data).decode()}

    @property
    def for_chooser(self) -> Any:
        return {"name": self.name, "mimeType": self.type, "buffer": self.data}


def picture(name: str = "shapes.png", *, height: int = 60, width: int = 80, kind: str = "PNG", seed: int = 0) -> File:
    """Coarse squares with a little noise: edges that EFDN and bicubic enlarge differently."""
    random = np.random.default_rng(seed)
    squares = random.integers(0, 200, (height // 4, width // 4, 3)).repeat(4, axis=0).repeat(4, axis=1)
    pixels = (squares + random.integers(0, 40, squares.shape)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return File(name, f"image/{kind.lower()}", stream.getvalue())


def upscaled(address: str, file: File, **query: str) -> bytes:
    """What the server makes of a picture."""
    url = f"{address}upscale?{urlencode({'engine': 'onnxruntime-cpu', 'name': file.name, **query})}"
    request = urllib.request.Request(url, file.data, {"Content-Type": file.type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def pixels_of(data: bytes) -> NDArray[np.int16]:
    """(H, W, 3) of 0..255."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)


def size_of(width: int, height: int) -> str:
    """As the page writes it."""
    return f"{width} \N{MULTIPLICATION SIGN} {height}"
