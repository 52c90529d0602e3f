"""What the network does at borders, and what padding does about it: `python -m benchmarks.borders FOLDER [MODEL]`.

FOLDER is what `efdn-eval` takes; the packaged model is measured unless another is given. For each padding: PSNR of
RGB over whole pictures (no border left out) and over the outermost pixels alone, how many times as many pixels the
network has to compute, and the largest error, in grey levels, on pictures of one colour, which should come out as they
went in. Then the same for other ways to pad, by NumPy's names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from efdn.metrics import psnr
from engines.evaluation.factsheet import network_side
from engines.evaluation.pairs import find_all_sets
from engines.evaluation.pictures import read_pair
from engines.protocol import Engine
from engines.select import choose_engine
from engines.whole import Pixels, upscale

MIRRORED = "symmetric"
"""What `--pad` does, by NumPy's name."""

PADS = (*((pad, MIRRORED) for pad in (0, 4, 8, 16, 24)), (8, "reflect"), (8, "edge"))
"""In pixels of the small picture, on each side; and how."""

BAND = 16
"""Width of the outermost band, in pixels of the large picture."""

FLAT_SIDE = 64
FLAT = {"white": (255, 255, 255), "black": (0, 0, 0), "blue": (10, 10, 200)}
SMALL_SETS = ("Set5", "Set14")
"""Measured alone where FOLDER has them: larger ones take long and say the same."""


def main(folder: Path, model: Path | None) -> None:
    """Prints a line for each padding."""
    with choose_engine(model).engine as engine:
        sets = {entry.name: entry for entry in find_all_sets([folder], engine.model.scale)}
        names = [name for name in SMALL_SETS if name in sets] or list(sets)
        pictures = {name: [read_pair(pair, engine.model.scale) for pair in sets[name].pairs] for name in names}
        print(f"{engine.model.name}; PSNR of RGB in dB, whole pictures / outermost {BAND} pixels; largest error")
        titles = [f"{name:>13} {'pixels':>7}" for name in pictures] + [f"{name:>6}" for name in FLAT]
        print(f"{'pad':>14}" + "".join(titles))
        for pad, how in PADS:
            columns = [_of_set(engine, pairs, pad, how) for pairs in pictures.values()]
            columns += [f"{flat_error(engine, colour, pad, how):>6}" for colour in FLAT.values()]
            print(f"{pad:>4} {how:>9}" + "".join(columns), flush=True)


def _of_set(engine: Engine, pairs: list[tuple[Pixels, Pixels]], pad: int, how: str) -> str:
    results = [(hr, padded(engine, lr, pad, how)) for hr, lr in pairs]
    whole = np.mean([psnr(hr, result) for hr, result in results])
    band = np.mean([psnr(outermost(hr), outermost(result)) for hr, result in results])
    sides = [network_side((lr.shape[0], lr.shape[1]), pad) for _, lr in pairs]
    pixels = sum(h * w for h, w in sides) / sum(lr.shape[0] * lr.shape[1] for _, lr in pairs)
    return f"{whole:>7.2f}/{band:.2f} {pixels:>6.2f}x"


def padded(engine: Engine, lr: Pixels, pad: int, how: str) -> Pixels:
    """A picture upscaled with padding of some kind around it, which is cropped afterwards."""
    if how == MIRRORED:
        return upscale(engine, lr, pad=pad)
    wide = np.pad(lr, ((pad, pad), (pad, pad), (0, 0)), mode="edge" if how == "edge" else "reflect")
    first = engine.model.scale * pad
    return upscale(engine, wide)[first:-first, first:-first]


def outermost(pixels: Pixels) -> NDArray[np.uint8]:
    """The pixels less than `BAND` from an edge, (1, N, 3)."""
    inside = np.zeros(pixels.shape[:2], dtype=bool)
    inside[BAND:-BAND, BAND:-BAND] = True
    return pixels[~inside][None]


def flat_error(engine: Engine, colour: tuple[int, int, int], pad: int, how: str) -> int:
    """Largest error in grey levels on a small picture of one colour."""
    flat = np.full((FLAT_SIDE, FLAT_SIDE, 3), colour, np.uint8)
    return int(np.abs(padded(engine, flat, pad, how).astype(int) - np.asarray(colour)).max())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
