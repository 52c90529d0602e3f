"""Times of reading and writing picture files, which are the same for every engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from efdn.images import Photo, read_photo, write_photo
from engines.whole import Pixels

RUNS, ENOUGH_S = 7, 1.0


def time_decode(pixels: Pixels, folder: Path) -> tuple[float, ...]:
    """Milliseconds to read a picture, (H, W, 3) uint8, from a PNG file that was just written."""
    path = folder / "decoded.png"
    write_photo(Photo(pixels=pixels), path)
    return _timed(lambda: read_photo(path, max_pixels=pixels.shape[0] * pixels.shape[1]))


def time_encode(pixels: Pixels, folder: Path) -> tuple[float, ...]:
    """Milliseconds to write a picture, (H, W, 3) uint8, to a PNG file as `efdn-infer` does."""
    return _timed(lambda: write_photo(Photo(pixels=pixels), folder / "encoded.png"))


def _timed(call: Callable[[], object]) -> tuple[float, ...]:
    """Times of some calls after a first one; fewer where they are slow."""
    call()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < ENOUGH_S * 1e3:
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    return tuple(times)
