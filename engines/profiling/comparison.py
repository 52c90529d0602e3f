"""Whether engines give the same pictures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.metrics import psnr


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How upscaled pictures differ from the reference's.

    Attributes:
        grey_levels: the largest difference of a value, 0..255.
        differing_share: share of values that are not the same, 0..1.
        psnr_db: of all pictures together; None where they are equal.
    """

    grey_levels: int
    differing_share: float
    psnr_db: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def compare(pictures: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Difference | None:
    """How pictures, (N, H, W, 3) uint8, differ from others; None where the shapes do."""
    if pictures.shape != reference.shape:
        return None
    distance = np.abs(pictures.astype(np.int16) - reference)
    # As one tall picture, which is what the metric takes.
    quality = psnr(*(array.reshape(-1, *array.shape[2:]) for array in (reference, pictures)))
    return Difference(
        grey_levels=int(distance.max()),
        differing_share=float(np.count_nonzero(distance) / distance.size),
        psnr_db=None if math.isinf(quality) else quality,
    )
