"""The pictures that engines are timed on."""

from __future__ import annotations

import numpy as np

from efdn.assets import VERIFICATION_PHOTO
from efdn.images import read_photo
from efdn.shapes import Side
from engines.whole import Pixels


def sample_pictures(shape: Side, batch: int = 1) -> Pixels:
    """The packaged photo, mirrored out or cropped to a size; further ones of a batch are moved to the side.

    Returns:
        (batch, H, W, 3) uint8, RGB.
    """
    photo = read_photo(VERIFICATION_PHOTO, max_pixels=1 << 20).pixels
    height, width = (max(0, size - side) for size, side in zip(shape, photo.shape[:2], strict=True))
    wide = np.pad(photo, ((0, height), (0, width), (0, 0)), mode="symmetric")[: shape[0], : shape[1]]
    return np.stack([np.roll(wide, 7 * index, axis=1) for index in range(batch)])
