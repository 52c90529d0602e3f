"""Where two pictures differ, and by how much. Large pictures are taken in bands, so that little memory is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ShapeError
from efdn.metrics import luma
from efdn.shapes import Side
from engines.whole import Pixels

STEP = 8
"""How finely the place of a crop is looked for, in pixels."""

APART = 1.5
"""How far windows are apart at least from corner to corner, in sides: the best places often lie close together."""

BAND_ROWS = 256
RESIDUE = 1e-6


class Difference(NamedTuple):
    """How far two pictures are apart.

    Attributes:
        psnr_db: over all channels; infinite for equal pictures.
        largest: of the differences, in levels of 8 bits.
    """

    psnr_db: float
    largest: int


def measure_difference(reference: Pixels, candidate: Pixels) -> Difference:
    """Compares two pictures.

    Args:
        reference: (H, W, 3) uint8.
        candidate: same shape.

    Raises:
        ShapeError: the shapes differ.
    """
    check_shapes(reference, candidate)
    total, largest = 0, 0
    for band in _bands(len(reference)):
        difference = np.abs(reference[band].astype(np.int32) - candidate[band])
        total += int((difference * difference).sum(dtype=np.int64))
        largest = max(largest, int(difference.max()))
    error = total / reference.size
    return Difference(psnr_db=math.inf if error == 0 else 10 * math.log10(255**2 / error), largest=largest)


def most_different(reference: Pixels, others: Sequence[Pixels], window: Side, count: int = 1) -> list[Side]:
    """Windows in which pictures differ most from a reference, by squared error on Y; they lie apart.

    Args:
        reference: (H, W, 3) uint8.
        others: same shape; their errors are added.
        window: height and width, no larger than the picture.
        count: how many windows to find at most; the first is always found.

    Returns:
        Top and left of each, in pixels, the most different first. Windows without any difference are left out.

    Raises:
        ShapeError: the shapes differ.
    """
    check_shapes(reference, *others)
    block = math.gcd(STEP, *window)
    rows, columns = window[0] // block, window[1] // block
    sums = _integral(_squared_errors(reference, others, block))
    errors = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    found: list[Side] = []
    # Sums that are taken apart again leave a little behind where there was nothing.
    nothing = RESIDUE * errors.max()
    while len(found) < count:
        top, left = (int(index) for index in np.unravel_index(errors.argmax(), errors.shape))
        if found and errors[top, left] <= nothing:
            break
        found.append((top * block, left * block))
        down, across = int(APART * rows), int(APART * columns)
        errors[max(0, top - down + 1) : top + down, max(0, left - across + 1) : left + across] = -1
    return found


def check_shapes(reference: Pixels, *others: Pixels) -> None:
    """Raises ShapeError unless all pictures have one shape."""
    for other in others:
        if other.shape != reference.shape:
            raise ShapeError(f"expected pictures of one shape, got {reference.shape} and {other.shape}")


def _squared_errors(reference: Pixels, others: Sequence[Pixels], block: int) -> NDArray[np.float64]:
    """Sums over blocks of `block` by `block` pixels; what is left at the right and lower edge is left out."""
    height, width = (side // block for side in reference.shape[:2])
    errors = np.zeros((height, width))
    for band in _bands(height):
        here = np.s_[band.start * block : min(band.stop, height) * block, : width * block]
        y = luma(reference[here])
        for other in others:
            squares = (y - luma(other[here])) ** 2
            errors[band] += squares.reshape(-1, block, width, block).sum(axis=(1, 3))
    return errors


def _integral(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over all that is above and left, with a row and a column of zeros before them."""
    return np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _bands(count: int) -> Iterator[slice]:
    return (slice(start, start + BAND_ROWS) for start in range(0, count, BAND_ROWS))
