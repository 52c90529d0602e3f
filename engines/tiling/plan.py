"""Which tiles a picture is cut into, for the sizes that an engine takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from efdn.errors import UsageError
from efdn.shapes import ShapeRange, Side
from engines.protocol import Engine
from engines.tiling.options import DEFAULT_PAD, TileOptions
from engines.tiling.spans import Axis, Span, cut


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """The tiles of a picture: each of `rows` with each of `columns`.

    Attributes:
        side: height and width of the picture, in pixels.
        pad: how far it is mirrored outwards, in pixels.
        rows: along the height.
        columns: along the width.
    """

    side: Side
    pad: int
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.rows) * len(self.columns)

    @property
    def tile(self) -> Side:
        """Height and width of the largest tile, in pixels."""
        return max(row.length for row in self.rows), max(column.length for column in self.columns)

    @property
    def cost(self) -> float:
        """How many times the picture's pixels the network computes."""
        computed = sum(row.length for row in self.rows) * sum(column.length for column in self.columns)
        return computed / (self.side[0] * self.side[1])


def plan_tiles(engine: Engine, side: Side, options: TileOptions, longest: int) -> TilePlan:
    """Plans the tiles of a picture: of all the engine's shapes, those that compute the fewest pixels.

    Args:
        engine: with the range of shapes for each of its profiles.
        side: height and width of the picture, in pixels.
        options: how it is to be cut.
        longest: side of a tile, in pixels; fixed shapes are taken as they are.

    Raises:
        UsageError: tiles of the sizes that the engine takes have no room for padding and overlap, or the picture is
            not to be cut and does not fit.
    """
    plans, refusals = [], []
    for shapes in engine.shapes:
        try:
            plans.append(_plan(shapes, side, options, longest, engine.model.smallest_side))
        except UsageError as error:
            refusals.append(error)
    if not plans:
        raise refusals[0]
    return min(plans, key=lambda plan: (plan.cost, plan.count))


def _plan(shapes: ShapeRange, side: Side, options: TileOptions, longest: int, smallest: int) -> TilePlan:
    least = tuple(max(smallest, low) for low in shapes.min)
    limit = side[0] + side[1] + 4 * (options.pad or DEFAULT_PAD) + longest if options.side == 0 else longest
    most = tuple(max(low, min(limit, high)) for low, high in zip(least, shapes.max or (limit, limit), strict=True))
    pad = _pad(options.pad, side, shapes.max)
    if options.side == 0 and any(length + 2 * pad > high for length, high in zip(side, most, strict=True)):
        raise UsageError(
            f"the picture has {side[0]}x{side[1]} pixels (height x width), the model takes {shapes}: "
            "leave out --tile 0, so that it is cut into tiles"
        )
    axes = [
        Axis(length=length, pad=pad, overlap=options.overlap, least=low, most=high)
        for length, low, high in zip(side, least, most, strict=True)
    ]
    rows, columns = (cut(axis) for axis in axes)
    return TilePlan(side=side, pad=pad, rows=rows, columns=columns)


def _pad(wanted: int | None, side: Side, most: Side | None) -> int:
    """The padding asked for; the usual one, unless only less of it fits the picture into a fixed shape in one go."""
    if wanted is not None or most is None:
        return DEFAULT_PAD if wanted is None else wanted
    room = min((high - length) // 2 for length, high in zip(side, most, strict=True))
    return room if 0 <= room < DEFAULT_PAD else DEFAULT_PAD


def untiled(options: TileOptions) -> TileOptions:
    """The same, with pictures whole."""
    return replace(options, side=0)
