"""Pictures turned upright: phones record as the sensor lies, and note how it was held."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATRIX = "DISPLAYMATRIX"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """How rows and columns of stored frames become what is to be seen.

    Attributes:
        transpose: rows become columns, first of all.
        flip_x: left and right are swapped, afterwards.
        flip_y: top and bottom are swapped, afterwards.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.flip_x or self.flip_y

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Turns a picture upright.

        Args:
            pixels: (H, W, 3).

        Returns:
            (H, W, 3) or (W, H, 3), C-contiguous; `pixels` itself where nothing is to be done.
        """
        if not self:
            return pixels
        turned = pixels.transpose(1, 0, 2) if self.transpose else pixels
        return np.ascontiguousarray(turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


UPRIGHT = Turn()


def read_turn(matrix: bytes) -> Turn | None:
    """The turn that a display matrix asks for, or None if it is no turn by quarters.

    Args:
        matrix: FFmpeg's, nine int32: a point (x, y), y down, goes to (a x + c y, b x + d y) with a, b, c, d at
            0, 1, 3 and 4.
    """
    if len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if not b and not c and a and d:
        return Turn(flip_x=a < 0, flip_y=d < 0)
    if not a and not d and b and c:
        return Turn(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return None
