"""Pictures that every stage is verified on: crops of a photo, and inputs that bring errors out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from efdn.assets import VERIFICATION_PHOTO
from efdn.config import MIN_SIDE
from efdn.images import read_photo

Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 48, 64


def probe_pictures(smallest_side: int = MIN_SIDE) -> dict[str, Pixels]:
    """(H, W, 3) pictures by name.

    Black and white show biases and what borders do; noise and the checkerboard drive
    activations far from those of photos; the last is one pixel high, mirrored up to
    the smallest height that the network takes.
    """
    photo = read_photo(VERIFICATION_PHOTO, max_pixels=1 << 20).pixels
    rows, columns = np.indices((HEIGHT, WIDTH))
    board = (((rows + columns) % 2) * 255).astype(np.uint8)
    generator = np.random.default_rng(0)
    line = generator.integers(0, 256, (1, WIDTH, 3), dtype=np.uint8)
    return {
        "photo": np.ascontiguousarray(photo[:HEIGHT, :WIDTH]),
        "photo, other corner": np.ascontiguousarray(photo[-HEIGHT:, -WIDTH:]),
        "black": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        "white": np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        "noise": generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        "checkerboard": np.repeat(board[..., None], 3, axis=2),
        "one pixel high": np.repeat(line, smallest_side, axis=0),
    }
