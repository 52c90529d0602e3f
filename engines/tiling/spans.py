"""One axis of a picture, cut into spans that overlap.

Lengths are in pixels of the padded picture: `pad` pixels of mirror image, the
picture, `pad` pixels more and, where a fixed shape asks for it, some beyond.

The spatial attention pools over a grid of six pixels. A tile that begins at a
multiple of six pools the same pixels as the whole picture does, and its attention
is stretched over the tile as over the picture if their lengths are equal modulo
six: both are seen to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from efdn.errors import UsageError

GRID = 6
"""Stride of the attention's pooling, 2 * 3, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """What a tile covers along one axis.

    Attributes:
        start: first pixel that the network sees.
        stop: the one behind the last.
        first: first pixel that is kept.
        last: the one behind the last that is kept.
        ramp: how many of the first kept pixels are blended with the last kept ones of the span before.
    """

    start: int
    stop: int
    first: int
    last: int
    ramp: int

    @property
    def length(self) -> int:
        """How many pixels the network sees."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is asked of the spans of one axis.

    Attributes:
        length: of the picture.
        pad: mirrored on each side.
        overlap: context on each inner side of a span, at least.
        least: shortest span that the engine takes.
        most: longest span.
    """

    length: int
    pad: int
    overlap: int
    least: int
    most: int


def cut(axis: Axis) -> tuple[Span, ...]:
    """Cuts an axis into spans of one length, as few as possible.

    Raises:
        UsageError: spans of that length have no room for padding and context.
    """
    padded = axis.length + 2 * axis.pad
    if padded <= axis.most:
        only = max(padded, axis.least)
        return (Span(start=0, stop=only, first=axis.pad, last=axis.pad + axis.length, ramp=0),)
    smallest = max(2 * axis.overlap, axis.overlap + axis.pad) + 2 * GRID
    if axis.most < smallest:
        raise UsageError(
            f"tiles of {axis.most} pixels have no room for {axis.overlap} pixels of overlap and {axis.pad} of padding: "
            f"expected at least {smallest}; use larger tiles or a smaller --tile-overlap"
        )
    length, starts = _placed(axis, padded)
    return _spans(axis, length, starts)


def _placed(axis: Axis, padded: int) -> tuple[int, list[int]]:
    """Length of the spans, and where each starts: multiples of the grid, spread evenly."""
    context = 2 * axis.overlap
    count = -(-(padded - context) // (axis.most - context))
    while True:
        step = GRID * -(-(padded - context) // (count * GRID))
        length = max(step + context, axis.least)
        length = min(length + (padded - length) % GRID, axis.most)
        steps = -(-(padded - length) // GRID)
        starts = [GRID * (steps * index // (count - 1)) for index in range(count)]
        if all(later - earlier <= length - context for earlier, later in pairwise(starts)):
            return length, starts
        count += 1


def _spans(axis: Axis, length: int, starts: list[int]) -> tuple[Span, ...]:
    """Neighbours share what they overlap by half and half, and are blended around the middle."""
    ramp = axis.overlap // 2
    middles = [(earlier + length + later) // 2 for earlier, later in pairwise(starts)]
    firsts = [axis.pad, *(middle - ramp // 2 for middle in middles)]
    lasts = [*(middle - ramp // 2 + ramp for middle in middles), axis.pad + axis.length]
    return tuple(
        Span(start=start, stop=start + length, first=first, last=last, ramp=ramp if index else 0)
        for index, (start, first, last) in enumerate(zip(starts, firsts, lasts, strict=True))
    )
