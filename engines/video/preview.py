"""Bicubic and upscaled side by side in one frame."""

from __future__ import annotations

import numpy as np

from engines.video.conversion import Bicubic, Pixels


class Preview:
    """Frames whose left half is bicubic and whose right half is upscaled, with a white line between them.

    Args:
        width: of the source, in pixels.
        height: of the source, in pixels.
        target_width: in pixels.
        target_height: in pixels.
        deep: whether frames are uint16.
    """

    def __init__(self, *, width: int, height: int, target_width: int, target_height: int, deep: bool) -> None:
        self._bicubic = Bicubic(
            width=width, height=height, target_width=target_width, target_height=target_height, deep=deep
        )
        self._middle = target_width // 2
        self._line = max(2, target_width // 960 * 2)

    def __call__(self, small: Pixels, large: Pixels) -> Pixels:
        """A frame of the result's size.

        Args:
            small: (H, W, 3), as it is in the source.
            large: (target_height, target_width, 3), upscaled.
        """
        frame: Pixels = large.copy()
        frame[:, : self._middle] = self._bicubic(small)[:, : self._middle]
        frame[:, self._middle - self._line // 2 : self._middle + self._line // 2] = np.iinfo(large.dtype).max
        return frame
