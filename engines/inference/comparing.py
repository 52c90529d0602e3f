"""A sheet beside a result that compares it with bicubic upscaling."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from efdn.errors import ShapeError
from efdn.pictures.convert import on_background, to_bits, to_rgb
from efdn.pictures.picture import Color, Layout, Picture, Pixels
from efdn.pictures.writing import write_picture
from engines.batch.targets import COMPARED

MOST_PIXELS = 40_000_000
"""Of a result that is compared; it is held whole."""

PAPER = (255, 255, 255)
"""What transparent pictures are shown on."""


class Comparison:
    """Takes the rows of a result and draws the sheet.

    Args:
        picture: what was upscaled.
        layout: of the result.

    Raises:
        ShapeError: the result is too large to be compared.
    """

    def __init__(self, picture: Picture, layout: Layout) -> None:
        check_comparable(layout)
        self._picture, self._layout = picture, layout
        self._blocks: list[Pixels] = []

    def add(self, rows: Pixels) -> None:
        """Adds rows of the result."""
        self._blocks.append(rows)

    def write_beside(self, target: Path) -> Path:
        """Draws the sheet and writes it.

        Returns:
            Its path: the target's with "_compare.png".
        """
        from PIL import Image

        from engines.comparison.sheet import compare_sheet

        result = as_shown(self._picture_of_result())
        source = as_shown(self._picture)
        size = (self._layout.width, self._layout.height)
        bicubic = np.asarray(Image.fromarray(source).resize(size, Image.Resampling.BICUBIC))
        sheet = compare_sheet(source, (("bicubic", bicubic), ("EFDN", result)))
        path = sheet_beside(target)
        write_picture(path, Picture(pixels=sheet, color=Color.RGB))
        return path

    def _picture_of_result(self) -> Picture:
        rows = np.concatenate(self._blocks)
        alpha = rows[..., -1] if self._layout.alpha else None
        colors = rows[..., :-1] if self._layout.alpha else rows
        metadata = self._picture.metadata
        return Picture(pixels=colors, alpha=alpha, color=self._layout.color, metadata=metadata)


def check_comparable(layout: Layout) -> None:
    """Raises ShapeError where a result is too large to be compared."""
    if layout.width * layout.height > MOST_PIXELS:
        raise ShapeError(
            f"a result of {layout.width}x{layout.height} pixels is too large to be compared, at most {MOST_PIXELS} "
            "are: leave out --compare, or give a part of the picture"
        )


def sheet_beside(target: Path) -> Path:
    """Where the sheet of a result goes."""
    return target.with_name(f"{target.stem}{COMPARED}.png")


def as_shown(picture: Picture) -> Pixels:
    """(H, W, 3) uint8, RGB, on white where it is transparent."""
    rgb = to_rgb(picture)
    pixels = to_bits(rgb.pixels, 8)
    return pixels if rgb.alpha is None else on_background(pixels, to_bits(rgb.alpha, 8), PAPER)
