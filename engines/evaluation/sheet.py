"""A picture to look at: for some pictures of each set the same crop by every method, and of the original.

The crop is where bicubic upscaling is worst: there is the detail that a network must restore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engines.comparison.differences import most_different
from engines.comparison.drawing import INK, QUIET, write_line
from engines.evaluation.conventions import Convention
from engines.evaluation.measure import Seen
from engines.evaluation.result import BICUBIC
from engines.whole import Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

CROP = 96
"""Side of a crop in HR pixels."""

CELL = 3 * CROP
GAP, TOP, LINE = 16, 92, 24
BACKGROUND, FRAME = (255, 255, 255), (230, 40, 40)
ORIGINAL = "HR"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is shown of one picture.

    Attributes:
        title: its set and name.
        overview: the whole original, made smaller, with the crop framed.
        cells: (caption, crop) by column, (CELL, CELL, 3) uint8.
    """

    title: str
    overview: Pixels
    cells: tuple[tuple[str, Pixels], ...]


class Sheet:
    """Gathers rows as pictures are measured.

    Args:
        convention: whose headline stands below the crops.
        rows_per_set: pictures to show of each set, spread over it.
    """

    def __init__(self, convention: Convention, rows_per_set: int = 5) -> None:
        self._convention, self._rows_per_set = convention, rows_per_set
        self._columns: tuple[str, ...] = ()
        self._rows: list[Row] = []

    def add(self, seen: Seen) -> None:
        """Takes a picture, if it is one of those to show."""
        if seen.index not in spread(seen.count, self._rows_per_set):
            return
        self._columns = (*seen.results, ORIGINAL)
        top, left, side = worst_crop(seen.hr, seen.results[BICUBIC])
        here = np.s_[top : top + side, left : left + side]
        cells = [(self._caption(seen, name), _enlarged(result[here])) for name, result in seen.results.items()]
        self._rows.append(
            Row(
                title=f"{seen.set_name}  {seen.name}",
                overview=_overview(seen.hr, top, left, side),
                cells=(*cells, ("original", _enlarged(seen.hr[here]))),
            )
        )

    def render(self, title: str) -> Pixels:
        """The sheet, (H, W, 3) uint8.

        Args:
            title: its first line.
        """
        from PIL import Image, ImageDraw

        channels = {"rgb": "RGB", "y": "Y"}[self._convention.headline]
        note = f"{channels} PSNR and SSIM of the whole picture; the crop is where bicubic upscaling is worst"
        width = GAP + (1 + len(self._columns)) * (CELL + GAP)
        image = Image.new("RGB", (width, TOP + len(self._rows) * (CELL + 2 * LINE + GAP)), BACKGROUND)
        draw = ImageDraw.Draw(image)
        write_line(draw, (GAP, GAP), title, INK, width - 2 * GAP)
        write_line(draw, (GAP, GAP + LINE), note, QUIET, width - 2 * GAP)
        for column, name in enumerate(("picture", *self._columns)):
            write_line(draw, (_x(column), TOP - LINE), name, INK, CELL)
        for index, row in enumerate(self._rows):
            _draw_row(image, draw, row, TOP + index * (CELL + 2 * LINE + GAP))
        return np.asarray(image)

    def _caption(self, seen: Seen, name: str) -> str:
        decibels, similarity = seen.scores[name].headline(self._convention)
        return f"{decibels:.2f} dB  {similarity:.4f}"


def spread(count: int, wanted: int) -> set[int]:
    """At most `wanted` places of a list of `count`, evenly spread, the first among them."""
    return {index * count // wanted for index in range(wanted)} if count > wanted else set(range(count))


def worst_crop(hr: Pixels, bicubic: Pixels) -> tuple[int, int, int]:
    """(top, left, side) of the square in which bicubic upscaling has the largest squared error on Y."""
    side = min(CROP, *hr.shape[:2])
    ((top, left),) = most_different(hr, [bicubic], (side, side))
    return top, left, side


def _draw_row(image: Image.Image, draw: ImageDraw.ImageDraw, row: Row, y: int) -> None:
    from PIL import Image

    pictures = [(row.title, row.overview), *row.cells]
    for column, (caption, pixels) in enumerate(pictures):
        image.paste(Image.fromarray(pixels), (_x(column), y))
        write_line(draw, (_x(column), y + CELL + 4), caption, INK, CELL)


def _overview(hr: Pixels, top: int, left: int, side: int) -> Pixels:
    """The whole picture within a cell, the crop framed, on the background."""
    from PIL import Image, ImageDraw

    height, width = hr.shape[:2]
    factor = CELL / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = Image.fromarray(hr).resize(size, Image.Resampling.LANCZOS)
    corners = [round(value * factor) for value in (left, top, left + side, top + side)]
    box = (corners[0], corners[1], min(size[0], corners[2]) - 1, min(size[1], corners[3]) - 1)
    ImageDraw.Draw(image).rectangle(box, outline=FRAME, width=2)
    cell = Image.new("RGB", (CELL, CELL), BACKGROUND)
    cell.paste(image, (0, 0))
    return np.asarray(cell)


def _enlarged(crop: Pixels) -> Pixels:
    """A square crop at the size of a cell, its pixels left as they are."""
    from PIL import Image

    return np.asarray(Image.fromarray(crop).resize((CELL, CELL), Image.Resampling.NEAREST))


def _x(column: int) -> int:
    return GAP + column * (CELL + GAP)
