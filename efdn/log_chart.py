"""A chart of figures that differ by orders of magnitude, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, inf, isfinite, log10
from typing import Literal

from efdn.html import svg

WIDTH, LABEL_WIDTH, ROW_HEIGHT = 920, 190, 24
LANE_WIDTH = 40
"""Room before and after the scale, for what is not on it."""
LEGEND_Y, TOP = 48, 68
MOST_LINES = 10

Position = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one kind of mark is drawn.

    Attributes:
        shape: a dot and a ring around the same point can both be seen.
        colour: to be seen on white and on black.
    """

    shape: Literal["dot", "ring", "tick"]
    colour: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value in a row.

    Attributes:
        value: not negative; zero, infinity and what is not a number have places of their own.
        kind: a key of the chart's looks.
        tooltip: shown over it.
    """

    value: float
    kind: str
    tooltip: str


def log_chart(title: str, rows: Sequence[tuple[str, Sequence[Mark]]], looks: Mapping[str, Look]) -> str:
    """Rows of marks on one logarithmic scale, with a legend.

    Args:
        title: shown above, and read by screen readers.
        rows: (label, marks).
        looks: of each kind of mark, in the legend's order.
    """
    bottom = TOP + ROW_HEIGHT * len(rows)
    grid, position = _scale([mark.value for _, marks in rows for mark in marks], bottom)
    drawn = [_legend(looks), *grid]
    for index, (label, marks) in enumerate(rows):
        y = TOP + (index + 0.5) * ROW_HEIGHT
        drawn.append(f'<text x="{LABEL_WIDTH - 10}" y="{y + 5}" text-anchor="end">{escape(label)}</text>')
        drawn += [_mark(position(mark.value), y, looks[mark.kind], mark.tooltip) for mark in marks]
    return svg(title, WIDTH, bottom + 30, drawn)


def _scale(values: Sequence[float], bottom: float) -> tuple[list[str], Position]:
    """Lines at powers of ten, and where values go: zero before the first line, what is not finite after the last."""
    logs = [log10(value) for value in values if 0 < value < inf]
    low = floor(min(logs, default=0))
    high = max(ceil(max(logs, default=1)), low + 1)
    left, right = LABEL_WIDTH + LANE_WIDTH, WIDTH - 2 * LANE_WIDTH

    def position(value: float) -> float:
        if not isfinite(value):
            return right + LANE_WIDTH
        if value == 0:
            return LABEL_WIDTH + LANE_WIDTH / 4
        return left + (right - left) * (log10(value) - low) / (high - low)

    lines = [(10.0**power, f"1e{power}") for power in range(low, high + 1, ceil((high - low) / MOST_LINES))]
    lines += [(0.0, "0")] if 0 in values else []
    lines += [] if all(map(isfinite, values)) else [(inf, "not finite")]
    return [_line(position(value), bottom, name) for value, name in lines], position


def _line(x: float, bottom: float, name: str) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text class="value" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{name}</text>'
    )


def _legend(looks: Mapping[str, Look]) -> str:
    entries, x = [], float(LABEL_WIDTH)
    for kind, look in looks.items():
        entries.append(_mark(x, LEGEND_Y - 4.5, look) + f'<text x="{x + 14:.0f}" y="{LEGEND_Y}">{escape(kind)}</text>')
        x += 45 + 7 * len(kind)
    return "".join(entries)


def _mark(x: float, y: float, look: Look, tooltip: str | None = None) -> str:
    title = "" if tooltip is None else f"<title>{escape(tooltip)}</title>"
    kind, colour = "key" if tooltip is None else "mark", look.colour
    if look.shape == "tick":
        return (
            f'<rect class="{kind}" x="{x - 1.5:.1f}" y="{y - 8}" width="3" height="16" fill="{colour}">{title}</rect>'
        )
    radius, paint = 4.0, f'fill="{colour}"'
    if look.shape == "ring":
        radius, paint = 6.5, f'fill="none" stroke="{colour}" stroke-width="2.5" pointer-events="all"'
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="{radius}" {paint}>{title}</circle>'
