"""What goes into a graph and comes out of it."""

from __future__ import annotations

from enum import Enum


class IOFormat(str, Enum):
    """What goes into a graph and comes out of it."""

    FLOAT32 = "float32"
    """(N, 3, H, W) float32, 0..data_range, not clamped."""
    UINT8 = "uint8"
    """(N, H, W, 3) uint8: a picture as files and screens have it."""
