"""What tiles change: `python -m benchmarks.tiles PICTURE_OR_FOLDER ...`.

Upscales each picture whole and in tiles of the default size, through the packaged model, at several overlaps, and
prints for each overlap the worst picture and the median: interior and border band apart, before and after rounding to
8 bits. Then the same at the default overlap without padding, where the network's own wrap-around and zeros are at the
borders. Pictures that fit into one tile are left out.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from efdn.errors import UsageError
from efdn.images import read_photo
from engines.protocol import Engine
from engines.select import choose_engine
from engines.tiling.options import DEFAULT_OVERLAP, TileOptions
from engines.tiling.verify import BAND, OVERLAPS, Distance, TileError, verify_tiles

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
MOST_PIXELS = 1_000_000


def main(paths: Sequence[Path], name: str = "auto") -> None:
    """Prints both tables."""
    pictures = [read_photo(path, max_pixels=MOST_PIXELS).pixels for path in files(paths)]
    with choose_engine(None, name).engine as engine:
        print(f"{engine.name}; border: the outermost {BAND} pixels of the small picture")
        table("usual padding", measured(engine, pictures, TileOptions(), OVERLAPS))
        table("no padding", measured(engine, pictures, TileOptions(pad=0), (DEFAULT_OVERLAP,)))


def files(paths: Sequence[Path]) -> list[Path]:
    """Pictures named, and those in folders."""
    return [
        file
        for path in paths
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file.suffix.lower() in ENDINGS
    ]


def measured(
    engine: Engine, pictures: Sequence[np.ndarray], options: TileOptions, overlaps: Sequence[int]
) -> dict[int, list[TileError]]:
    """Errors of all pictures, for each overlap."""
    errors: dict[int, list[TileError]] = defaultdict(list)
    for pixels in pictures:
        try:
            for error in verify_tiles(engine, pixels, options, overlaps):
                errors[error.overlap].append(error)
        except UsageError:
            continue  # One tile takes it whole.
    return errors


def table(title: str, errors: dict[int, list[TileError]]) -> None:
    """A line for each overlap."""
    print(
        f"{title}, {max(map(len, errors.values()), default=0)} pictures; PSNR in dB, largest difference, 8-bit levels"
    )
    print(f"{'overlap':>7} {'pixels':>7}   {'interior, worst':>20} {'median':>7}   {'border, worst':>20} {'median':>7}")
    for overlap, found in sorted(errors.items()):
        cost = median(error.cost for error in found)
        interior, border = [error.interior for error in found], [error.border for error in found]
        print(f"{overlap:>7} {cost:>6.2f}x   {_worst(interior)}   {_worst(border)}", flush=True)


def _worst(found: Sequence[Distance]) -> str:
    lowest = min(distance.psnr_db for distance in found)
    largest, levels = max(distance.largest for distance in found), max(distance.levels for distance in found)
    return f"{lowest:>8.1f} {largest:>7.2f} {levels:>3} {median(distance.psnr_db for distance in found):>7.1f}"


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
