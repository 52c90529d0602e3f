"""One axis of a picture, cut into spans that overlap.

Lengths are in pixels of the padded picture: `pad` pixels of mirror image, the
picture, `pad` pixels more and, where a fixed shape asks for it, some beyond.

The spatial attention pools over a grid of six pixels, drops what is left at the end,
and stretches its map over all pixels: in a picture of n pixels by 7 to 12 in all, as
(n - 1) modulo 6 is 0 to 5. A tile stretches its own map as much over fewer pixels, and
what is attended to is displaced by some pixels against the whole picture. Three things
keep this small: tiles begin at multiples of six, so that they pool the same pixels; their
lengths are equal to the picture's modulo six; and the padding is chosen so that it is 7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from efdn.errors import UsageError

GRID = 6
"""Stride of the attention's pooling, 2 * 3, in pixels."""

LEAST_STRETCHED = 1
"""Length modulo the grid at which the attention is stretched least."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """What a tile covers along one axis.

    Attributes:
        start: first pixel that the network sees.
        stop: the one behind the last.
        first: first pixel that is kept.
        last: the one behind the last that is kept.
        ramp: how many of the first kept pixels are blended with the last kept ones of the span before.
        before: how many pixels of the picture's other end the network sees ahead of `start`.
        after: how many of the other end it sees behind `stop`.
    """

    start: int
    stop: int
    first: int
    last: int
    ramp: int
    before: int = 0
    after: int = 0

    @property
    def length(self) -> int:
        """How many pixels the network sees."""
        return self.before + self.stop - self.start + self.after


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
    # Without padding, the network is to see the picture alone.
    further = padded + (LEAST_STRETCHED - padded) % GRID if axis.pad else padded
    if padded <= axis.most:
        only = max(further if further <= axis.most else padded, axis.least)
        return (Span(start=0, stop=only, first=axis.pad, last=axis.pad + axis.length, ramp=0),)
    smallest = max(2 * axis.overlap, axis.overlap + axis.pad) + 2 * GRID
    if axis.most < smallest:
        raise UsageError(
            f"tiles of {axis.most} pixels have no room for {axis.overlap} pixels of overlap and {axis.pad} of padding: "
            f"expected at least {smallest}; use larger tiles, or a smaller --tile-overlap and --pad"
        )
    if not axis.pad and axis.least + 2 * GRID < axis.most:
        return _wrapped_around(axis)
    length, starts = _placed(axis, further)
    return _spans(axis, length, starts)


def _wrapped_around(axis: Axis) -> tuple[Span, ...]:
    """Spans of a picture without padding, whose ends the network joins.

    Its token mixing takes what lies beyond an edge from the opposite edge of what it sees; its convolutions see zeros
    there. So the first span begins at the picture's edge, and ends with some of the other end, as the last one begins
    with it. Where these meet what lies there by chance is context, and thrown away.
    """
    far = GRID * -(-axis.overlap // GRID)
    inner = replace(axis, most=axis.most - far)
    if inner.most < max(axis.least, 2 * axis.overlap + 2 * GRID):
        return _spans(axis, *_placed(axis, axis.length))
    first, *middle, last = _spans(inner, *_placed(inner, axis.length))
    return (replace(first, after=far), *middle, replace(last, before=far))


def _placed(axis: Axis, padded: int) -> tuple[int, list[int]]:
    """Length of the spans, and where each starts: multiples of the grid, spread evenly."""
    context = 2 * axis.overlap
    count = -(-(padded - context) // (axis.most - context))
    while True:
        step = GRID * -(-(padded - context) // (count * GRID))
        length = max(step + context, axis.least)
        length += (padded - length) % GRID
        if length > axis.most:
            length -= GRID * -(-(length - axis.most) // GRID)
        if length < axis.least:  # A fixed shape, or nearly one.
            length = axis.most
        steps = -(-(padded - length) // GRID)
        starts = [GRID * (steps * index // (count - 1)) for index in range(count)]
        if all(later - earlier <= length - context for earlier, later in pairwise(starts)):
            return length, starts
        count += 1


def _spans(axis: Axis, length: int, starts: list[int]) -> tuple[Span, ...]:
    """Neighbours share what they overlap by half and half, and are blended around the middle."""
    middles = [(earlier + length + later) // 2 for earlier, later in pairwise(starts)]
    # Three spans never meet in one pixel.
    ramp = min([axis.overlap // 2, *(later - earlier for earlier, later in pairwise(middles))])
    begin, end = axis.pad, axis.pad + axis.length
    firsts = [begin, *(max(begin, middle - ramp // 2) for middle in middles)]
    lasts = [*(min(end, middle - ramp // 2 + ramp) for middle in middles), end]
    # Where the padding is wide, spans may lie in it altogether.
    kept = [(start, first, last) for start, first, last in zip(starts, firsts, lasts, strict=True) if first < last]
    befores = [kept[0][1], *(last for _, _, last in kept[:-1])]
    return tuple(
        Span(start=start, stop=start + length, first=first, last=last, ramp=before - first)
        for (start, first, last), before in zip(kept, befores, strict=True)
    )
