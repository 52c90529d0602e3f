"""How loss and PSNR went over training, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10
from pathlib import Path
from typing import TypeAlias

from efdn.files import staged
from efdn.html import svg
from efdn.training.log_rows import LogRow

WIDTH, LEFT, RIGHT = 920, 70, 24
TOP, PANEL_HEIGHT, PANEL_STEP = 64, 210, 290
HEIGHT = TOP + PANEL_STEP + PANEL_HEIGHT + 44
LEGEND_ABOVE, CHARACTER_WIDTH = 14, 7
TICKS = 6
STEPS = (1, 2, 5, 10)

MOST_POINTS = 600
"""Of a line; where there are more, neighbours are averaged, as the screen would not show them apart."""

LOG_FROM = 4.0
"""Where the largest value is as many times the smallest, the scale is logarithmic."""

START_SHARE = 0.05
"""Part of the training whose low PSNR may leave the panel, or what follows would be a flat line."""

LOSS, TRAINING, VALIDATION = "#5b83b5", "#b5764a", "#2f9d6e"
"""To be seen on white and on black."""

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A figure over iterations.

    Attributes:
        name: for the legend.
        form: of a value in words, for `str.format`.
        colour: to be seen on white and on black.
        points: (iteration, value), finite, in order.
        dots: whether each point is marked.
    """

    name: str
    form: str
    colour: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Where values go on an axis.

    Attributes:
        low: value at `start`.
        high: value at `end`; more than `low`.
        start: in pixels.
        end: in pixels.
        logarithmic: whether equal ratios are equally far.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, here = (log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (here - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values from `low` to `high`."""
        if self.logarithmic:
            first, last = floor(log10(self.low)), ceil(log10(self.high))
            steps = STEPS[:-1] if last - first < TICKS else STEPS[:1]
            powers = range(first, last + 1, ceil((last - first) / (2 * TICKS)))
            found = [step * 10.0**power for power in powers for step in steps]
            return [value for value in found if self.low <= value <= self.high]
        size = 10.0 ** floor(log10((self.high - self.low) / TICKS))
        step = next(n * size for n in (*STEPS, 20) if n * size >= (self.high - self.low) / TICKS)
        return [i * step for i in range(ceil(self.low / step), floor(self.high / step) + 1)]


def write_curve(rows: Sequence[LogRow], path: Path) -> None:
    """Writes the chart of a log, whole or not at all.

    Args:
        rows: as `efdn.training.log_rows.read_rows` gives them.
        path: an SVG file.

    Raises:
        OutputError: it cannot be written.
    """
    content = curve(rows)
    with staged(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def curve(rows: Sequence[LogRow]) -> str:
    """Two panels over iterations, loss and PSNR, as SVG that is readable in light and dark."""
    last = max((row.iteration for row in rows), default=0) or 1
    across = Scale(low=0, high=last, start=LEFT, end=WIDTH - RIGHT)
    loss = Line(name="loss", form="{:.4g}", colour=LOSS, points=_points(rows, "loss"))
    training = Line(name="PSNR of training patches", form="{:.2f} dB", colour=TRAINING, points=_points(rows, "psnr_db"))
    measured = _points(rows, "val_psnr_db")
    validation = Line(name="PSNR in validation", form="{:.2f} dB", colour=VALIDATION, points=measured, dots=True)
    late = [y for x, y in (*training.points, *measured) if x > START_SHARE * last]
    shown = ([y for _, y in loss.points], late or [y for _, y in training.points])
    drawn = []
    for number, (lines, values) in enumerate(zip(([loss], [training, validation]), shown, strict=True)):
        top = TOP + number * PANEL_STEP
        drawn += _panel(number, lines, across, _upright(values, top, number == 0))
    drawn.append(f'<text class="value" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">iteration</text>')
    return svg("Training", WIDTH, HEIGHT, drawn)


def _points(rows: Sequence[LogRow], name: str) -> list[Point]:
    """Finite values by iteration."""
    values = [(row.iteration, getattr(row, name)) for row in rows]
    return [(float(x), float(y)) for x, y in values if y is not None and isfinite(y)]


def _thinned(points: Sequence[Point]) -> list[Point]:
    size = ceil(len(points) / MOST_POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)] if size > 1 else [[point] for point in points]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _upright(values: Sequence[float], top: float, may_be_logarithmic: bool) -> Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    bottom = top + PANEL_HEIGHT
    if may_be_logarithmic and low > 0 and high / low >= LOG_FROM:
        return Scale(low=low / 1.1, high=high * 1.1, start=bottom, end=top, logarithmic=True)
    margin = max((high - low) * 0.06, abs(high) * 1e-3, 1e-6)
    return Scale(low=low - margin, high=high + margin, start=bottom, end=top)


def _panel(number: int, lines: Sequence[Line], across: Scale, up: Scale) -> list[str]:
    """Grid, axes, legend with last values, and lines, which end at the panel's edges."""
    top, bottom = up.end, up.start
    clip = f"panel-{number}"
    drawn = [
        f'<clipPath id="{clip}"><rect x="{LEFT - 6}" y="{top - 6}" width="{WIDTH - LEFT - RIGHT + 12}" '
        f'height="{PANEL_HEIGHT + 12}"/></clipPath>'
    ]
    for value in up.ticks():
        y = up(value)
        drawn.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="value" x="{LEFT - 8}" y="{y + 4.5:.1f}" text-anchor="end">{value:.6g}</text>'
        )
    for value in across.ticks():
        x = across(value)
        drawn.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            f'<text class="value" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{_count(value)}</text>'
        )
    drawn += _legend(lines, top - LEGEND_ABOVE)
    drawn += [f'<g clip-path="url(#{clip})">{_drawn(line, across, up)}</g>' for line in lines if line.points]
    return drawn


def _legend(lines: Sequence[Line], y: float) -> list[str]:
    drawn, x = [], float(LEFT)
    for line in lines:
        said = line.name if not line.points else f"{line.name}: {line.form.format(line.points[-1][1])} at the end"
        drawn.append(
            f'<rect x="{x:.0f}" y="{y - 10}" width="14" height="10" rx="2" fill="{line.colour}"/>'
            f'<text x="{x + 20:.0f}" y="{y}">{escape(said)}</text>'
        )
        x += 50 + CHARACTER_WIDTH * len(said)
    return drawn


def _drawn(line: Line, across: Scale, up: Scale) -> str:
    points = _thinned(line.points)
    places = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    path = (
        f'<polyline points="{places}" fill="none" stroke="{line.colour}" stroke-width="1.8" stroke-linejoin="round"/>'
    )
    # A line of a single point would not be seen.
    marks = [
        f'<circle class="mark" cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{line.colour}"><title>'
        + escape(f"{line.name}, iteration {x:,.0f}: {line.form.format(y)}")
        + "</title></circle>"
        for x, y in (points if line.dots or len(points) == 1 else [])
    ]
    return path + "".join(marks)


def _count(value: float) -> str:
    """12k or 1.5M; iterations are many."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.6g}{letter}"
    return f"{value:.6g}"
