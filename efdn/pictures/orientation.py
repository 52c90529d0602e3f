"""Turning pictures upright."""

from __future__ import annotations

from dataclasses import replace

from efdn.pictures.picture import Layout, Pixels


def turned_upright(samples: Pixels, orientation: int) -> Pixels:
    """Samples (H, W) or (H, W, C), turned and mirrored as EXIF's orientation, 1 to 8, says."""
    import numpy as np

    if orientation > 4:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def upright_layout(layout: Layout, orientation: int) -> Layout:
    """The layout that a picture has once it is upright."""
    return replace(layout, width=layout.height, height=layout.width) if orientation > 4 else layout
