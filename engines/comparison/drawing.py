"""Letters and enlarged pixels on sheets to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from efdn.shapes import Side
from engines.whole import Pixels

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]

INK: Colour = (20, 20, 20)
QUIET: Colour = (110, 110, 110)
LETTERS = 17
"""Height of letters, in pixels."""


def write_line(
    draw: ImageDraw.ImageDraw, at: Side, text: str, colour: Colour, room: int, letters: float = LETTERS
) -> None:
    """Writes one line, cut where there is no more room.

    Args:
        draw: on what.
        at: x and y of its upper left corner, in pixels.
        text: in one line.
        colour: RGB in 0..255.
        room: its width, in pixels.
        letters: their height, in pixels.
    """
    font = _font(letters)
    shown = text
    while len(shown) > 1 and draw.textlength(shown, font) > room:
        shown = shown[:-2] + "…"
    draw.text(at, shown, colour, font)


def enlarge(pixels: Pixels, factor: int) -> Pixels:
    """Repeats pixels, so that they can be seen as they are.

    Args:
        pixels: (H, W, 3) uint8.
        factor: 1 or more.

    Returns:
        (factor * H, factor * W, 3) uint8.
    """
    return np.ascontiguousarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1))


def _font(letters: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(letters)
