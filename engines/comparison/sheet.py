"""One picture's results side by side: whole, and enlarged where they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from efdn.errors import ShapeError
from efdn.shapes import Side
from engines.comparison.differences import check_shapes, most_different
from engines.comparison.drawing import INK, QUIET, Colour, enlarge, write_line
from engines.whole import Pixels

if TYPE_CHECKING:
    from PIL import ImageDraw

CROP, CELL = 120, 480
"""Longest side of a crop in pixels of the result, and of what it is shown in."""

GAP, NARROW_GAP, LINE, LETTERS = 16, 4, 30, 19
TALLEST = 720
"""Of a whole picture beside others."""

WIDE = 2.5
"""Aspect ratio from which whole pictures stand below each other."""

BACKGROUND: Colour = (244, 244, 242)
WHITE: Colour = (255, 255, 255)
FRAMES: tuple[Colour, ...] = ((214, 39, 40), (0, 114, 198), (0, 135, 90))
"""Of the crops, each with its own colour."""

FRAME, HALO = 3, 2
TAG = 24

Column = tuple[str, Pixels]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A part of the result to look at.

    Attributes:
        number: from 1.
        top: in pixels of the result.
        left: likewise.
        side: height and width.
    """

    number: int
    top: int
    left: int
    side: Side

    @property
    def colour(self) -> Colour:
        """Of its frame."""
        return FRAMES[self.number - 1]

    def of(self, pixels: Pixels) -> Pixels:
        """The part of a picture."""
        return pixels[self.top : self.top + self.side[0], self.left : self.left + self.side[1]]


def compare_sheet(lr: Pixels, columns: Sequence[Column], title: str | None = None) -> Pixels:
    """Draws results side by side.

    Args:
        lr: (H, W, 3) uint8, what was upscaled.
        columns: label and result, (h, w, 3) uint8 of one shape; the first is what the others are compared with,
            bicubic upscaling as a rule.
        title: first line; the sizes if None.

    Returns:
        The sheet, (height, width, 3) uint8: a column for each result, the whole picture with the crops framed, below
        it up to three crops in which the results differ most.

    Raises:
        ShapeError: the results have different shapes, or there are none.
    """
    if not columns:
        raise ShapeError("expected results to compare, got none")
    names, results = zip(*columns, strict=True)
    check_shapes(*results)
    height, width = results[0].shape[:2]
    crops = choose_crops(results)
    sizes = f"{lr.shape[1]} x {lr.shape[0]} to {width} x {height} pixels"
    strips = [_blank(len(columns), GAP), _text(len(columns), [title or sizes], QUIET if title is None else INK)]
    if title is not None:
        strips.append(_text(len(columns), [sizes], QUIET))
    strips += _overviews(names, results, crops)
    for crop in crops:
        factor = max(1, min(CELL // side for side in crop.side))
        strips.append(_text(len(columns), names, INK, crop))
        strips.append(_pictures(len(columns), [enlarge(crop.of(result), factor) for result in results], crop.colour))
    return np.concatenate([*strips, _blank(len(columns), GAP)])


def choose_crops(results: Sequence[Pixels]) -> tuple[Crop, ...]:
    """Up to three parts in which results differ most from the first; none where the whole can be enlarged instead.

    Args:
        results: (H, W, 3) uint8 of one shape.
    """
    height, width = results[0].shape[:2]
    if max(height, width) <= CROP:
        return ()
    side = (min(CROP, height), min(CROP, width))
    places = most_different(results[0], results[1:], side, count=len(FRAMES))
    return tuple(Crop(number=number, top=top, left=left, side=side) for number, (top, left) in enumerate(places, 1))


def _overviews(names: Sequence[str], results: Sequence[Pixels], crops: Sequence[Crop]) -> list[Pixels]:
    """The whole pictures; wide ones below each other."""
    height, width = results[0].shape[:2]
    columns = len(results)
    if columns == 1 or width < WIDE * height:
        whole = [_overview(result, (TALLEST, CELL), crops) for result in results]
        return [_text(columns, names, INK), _pictures(columns, whole)]
    room = (TALLEST, _width(columns) - 2 * GAP)
    stacked: list[Pixels] = []
    for name, result in zip(names, results, strict=True):
        stacked += [_text(columns, [name], INK), _pictures(columns, [_overview(result, room, crops)])]
    return stacked


def _overview(pixels: Pixels, room: Side, crops: Sequence[Crop]) -> Pixels:
    """A picture made to fit, with the crops framed."""
    from PIL import Image, ImageDraw

    height, width = pixels.shape[:2]
    factor = min(room[0] / height, room[1] / width)
    if factor >= 1:
        factor = int(factor)
        image = Image.fromarray(enlarge(pixels, int(factor)))
    else:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for crop in reversed(crops):
        _frame(draw, image.size, crop, factor)
    return np.asarray(image)


def _frame(draw: ImageDraw.ImageDraw, size: Side, crop: Crop, factor: float) -> None:
    """Frames a crop in a picture made smaller, with its number in the corner, or beside it where there is no room."""
    left, top = (round(value * factor) for value in (crop.left, crop.top))
    right = min(size[0], round((crop.left + crop.side[1]) * factor)) - 1
    bottom = min(size[1], round((crop.top + crop.side[0]) * factor)) - 1
    right, bottom = max(right, left + 2 * FRAME), max(bottom, top + 2 * FRAME)
    # The light line makes the frame visible on its own colour.
    draw.rectangle((left, top, right, bottom), outline=WHITE, width=FRAME + HALO)
    draw.rectangle((left, top, right, bottom), outline=crop.colour, width=FRAME)
    if min(right - left, bottom - top) >= 2 * TAG:
        _tag(draw, (left, top), crop)
    else:
        _tag(draw, (min(left, size[0] - TAG), top - TAG if top >= TAG else bottom + 1), crop)


def _tag(draw: ImageDraw.ImageDraw, at: Side, crop: Crop) -> None:
    x, y = at
    draw.rectangle((x, y, x + TAG - 1, y + TAG - 1), fill=crop.colour)
    write_line(draw, (x + 7, y + 1), str(crop.number), WHITE, TAG, LETTERS)


def _text(columns: int, texts: Sequence[str], colour: Colour, crop: Crop | None = None) -> Pixels:
    """A line of text over each column, or one over all of them; a crop's number before each."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(_blank(columns, LINE + (GAP if crop else NARROW_GAP)))
    draw = ImageDraw.Draw(image)
    room = (_width(columns) - 2 * GAP) if len(texts) == 1 else CELL
    for column, text in enumerate(texts):
        x, y = _x(column), image.height - LINE + 2
        if crop is not None:
            _tag(draw, (x, y), crop)
            x += TAG + 8
        write_line(draw, (x, y + 1), text, colour, room - (x - _x(column)), LETTERS)
    return np.asarray(image)


def _pictures(columns: int, pictures: Sequence[Pixels], frame: Colour | None = None) -> Pixels:
    """Pictures beside each other, framed if a colour is given."""
    strip = _blank(columns, max(len(picture) for picture in pictures))
    for column, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        x = _x(column)
        strip[:height, x : x + width] = picture
        if frame is not None:
            strip[:FRAME, x : x + width] = strip[height - FRAME : height, x : x + width] = frame
            strip[:height, x : x + FRAME] = strip[:height, x + width - FRAME : x + width] = frame
    return strip


def _blank(columns: int, height: int) -> Pixels:
    return np.full((height, _width(columns), 3), BACKGROUND, np.uint8)


def _width(columns: int) -> int:
    return GAP + columns * (CELL + GAP)


def _x(column: int) -> int:
    return GAP + column * (CELL + GAP)
