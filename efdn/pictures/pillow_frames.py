"""Frames that Pillow composes, one in memory at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from efdn.pictures.stored import Shown, split_alpha

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_LOCK = threading.Lock()


def raise_pillows_limit(pixels: int) -> None:
    """Lets Pillow decode this many pixels, which `max_pixels` allowed, without warning of them.

    Its limit is one for the whole process: it is only ever raised, so that threads cannot undo each other's.
    """
    from PIL import Image

    with _LOCK:
        if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = pixels


def pillow_frames(image: ImageFile, frames: int, *, alpha: bool, durations_ms: Sequence[float]) -> Iterator[Shown]:
    """Frame after frame as RGB, with alpha if so said. Closes the image in the end."""
    import numpy as np

    with image:
        for number in range(frames):
            image.seek(number)
            shown = np.array(image.convert("RGBA" if alpha else "RGB"))
            yield split_alpha(shown, alpha), float(durations_ms[number])
