"""The Python in the documents runs as it stands there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import picture_parts as parts
from tests.picture_samples import write_sample

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "docs/python.md", "docs/video.md")
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NEEDS = {"torch": ("load_network", "my_weights"), "av": ("engines.video",)}
"""Packages that are not installed everywhere, and what in a block tells that it needs them."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of Python in a document.

    Attributes:
        document: its path in this repository.
        line: of the document on which it begins.
        code: what stands in it.
    """

    document: str
    line: int
    code: str


def blocks() -> Iterator[Block]:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            yield Block(document=document, line=text.count("\n", 0, found.start(1)) + 1, code=found[1])


BLOCKS = tuple(blocks())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents speak of."""
    photo = Image.open(ROOT / "examples" / "lr" / "budgie-branch.png").convert("RGB").crop((60, 40, 124, 88))
    photo.save(tmp_path / "photo.png")
    photo.save(tmp_path / "photo.jpg", dpi=(72, 72), exif=b"Exif\0\0" + parts.exif())
    photo.convert("RGBA").save(tmp_path / "logo.png")
    write_sample("png-rgba16", tmp_path).rename(tmp_path / "deep.png")
    (tmp_path / "photos").mkdir()
    for number in (1, 2):
        photo.resize((20, 16)).save(tmp_path / "photos" / f"{number}.png")
    shutil.copy(ROOT / "efdn" / "assets" / "efdn_x4.safetensors", tmp_path / "my_weights.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_examples() -> None:
    assert {block.document for block in BLOCKS} == set(DOCUMENTS)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.line}")
def test_examples_run(block: Block, folder: Path) -> None:
    for package, signs in NEEDS.items():
        if any(sign in block.code for sign in signs):
            pytest.importorskip(package)
    if "engines.video" in block.code:
        write_clip(folder / "clip.mp4")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    # Tracebacks name the document, and the line in it.
    exec(compile("\n" * (block.line - 1) + block.code, str(ROOT / block.document), "exec"), namespace)


def write_clip(path: Path) -> None:
    """A video of three frames."""
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in (40, 120, 200):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
