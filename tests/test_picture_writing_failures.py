"""Writing pictures: whatever goes wrong, nothing half-written is left."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from efdn.errors import OutputError
from efdn.pictures.picture import Color, Layout
from efdn.pictures.writing import open_writer
from tests.picture_writing_samples import (
    ENDINGS,
    RGB,
    pixels_of,
    write,
)


def leaves_the_old_file(folder: Path, write_to: Callable[[Path], None], ending: str, said: str) -> None:
    """Asserts that a failure leaves nothing new, and an older file intact."""
    path = folder / f"picture{ending}"
    for old in (None, b"the old one"):
        if old is not None:
            path.write_bytes(old)
        with pytest.raises(OutputError, match=said) as caught:
            write_to(path)
        assert "\n" not in str(caught.value)
        assert [(found.name, found.read_bytes()) for found in folder.iterdir()] == (
            [] if old is None else [(path.name, old)]
        )


@pytest.mark.parametrize("ending", ENDINGS)
def test_missing_rows_leave_nothing(tmp_path: Path, ending: str) -> None:
    leaves_the_old_file(
        tmp_path, lambda path: write(path, pixels_of(RGB)[:-1], RGB), ending, "expected 43 rows, got 42"
    )


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("wrong", ["too many", "narrow", "channels", "type", "none"])
def test_rows_that_do_not_fit_leave_nothing(tmp_path: Path, ending: str, wrong: str) -> None:
    pixels = pixels_of(RGB)
    rows = {
        "too many": np.concatenate([pixels, pixels]),
        "narrow": pixels[:, 1:],
        "channels": pixels[..., :1],
        "type": pixels.astype(np.uint16),
        "none": pixels[:0],
    }[wrong]

    def write_wrong(path: Path) -> None:
        with open_writer(path, RGB) as writer:
            writer.write(rows)

    leaves_the_old_file(tmp_path, write_wrong, ending, "expected at most 43 more rows of 61x3 uint8")


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_while_rows_are_made_leaves_nothing(tmp_path: Path, ending: str) -> None:
    def fail(path: Path) -> None:
        with open_writer(path, RGB) as writer:
            writer.write(pixels_of(RGB)[:20])
            raise OutputError("the engine died")

    leaves_the_old_file(tmp_path, fail, ending, "the engine died")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("room", [0, 100, 3000])
def test_a_full_disk_leaves_nothing(tmp_path: Path, ending: str, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(width=300, height=200, color=Color.RGB)
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    opened = Path.open

    def on_a_full_disk(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        file = opened(path, mode, 0) if mode == "wb" else opened(path, mode, *arguments, **named)
        return FullDisk(file, room) if path.suffix == ".part" else file

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    said = "cannot write .*: no space left on device"
    leaves_the_old_file(tmp_path, lambda path: write(path, pixels, layout), ending, said)


class FullDisk:
    """A file on a disk with room for some bytes only."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: bytes) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_missing_folder_is_said(ending: str) -> None:
    with pytest.raises(OutputError, match=r"does not exist; create it first"):
        write(Path(f"none/picture{ending}"), pixels_of(RGB), RGB)
