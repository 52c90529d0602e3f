"""Folders of pictures to be measured, made by hand."""

from pathlib import Path

import numpy as np
from PIL import Image

from efdn import bicubic
from engines.evaluation.pairs import PictureSet, find_all_sets
from tests.conftest import noise


def save(path: Path, pixels: np.ndarray) -> Path:
    """Writes a picture, and the folders it is to lie in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def save_pair(hr: Path, lr: Path) -> None:
    """Writes a picture of 32x40 and the same four times smaller."""
    pixels = noise(32, 40)
    save(hr, pixels)
    save(lr, bicubic.downscale(pixels, 4))


def only(folder: Path, scale: int = 4) -> PictureSet:
    """The one set in a folder."""
    (found,) = find_all_sets([folder], scale)
    return found
