"""Curves over pixels on logarithmic scales, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from efdn.html import legend, svg

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 340, 62, 18, 96, 52
MARKS = (1, 2, 5)
MOST_MARKS = 7

Position = Callable[[float], float]
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One set of axes.

    Attributes:
        title: what is drawn, with its unit.
        across: what goes from left to right.
        lines: points (x, y), both more than 0, by name.
        label: text of a value on the upright axis.
    """

    title: str
    across: str
    lines: Mapping[str, Sequence[Point]]
    label: Callable[[float], str]


def line_chart(title: str, panels: Sequence[Panel], colours: Mapping[str, str]) -> str:
    """Panels side by side with one legend.

    Args:
        title: shown above, and read by screen readers.
        panels: at least one.
        colours: of each line, in the legend's order; to be seen on white and on black.
    """
    drawn = [legend(colours, LEFT)]
    for index, panel in enumerate(panels):
        drawn.append(f'<g transform="translate({index * WIDTH} 0)">{"".join(_panel(panel, colours))}</g>')
    return svg(title, WIDTH * len(panels), HEIGHT, drawn)


def _panel(panel: Panel, colours: Mapping[str, str]) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    x, xs = _scale([across for across, _ in points], LEFT, WIDTH - RIGHT)
    y, ys = _scale([up for _, up in points], HEIGHT - BOTTOM, TOP)
    drawn = [f'<text x="{LEFT}" y="{TOP - 14}">{escape(panel.title)}</text>']
    for value in ys:
        drawn.append(_rule(LEFT, WIDTH - RIGHT, y(value), y(value)))
        drawn.append(_text(LEFT - 8, y(value) + 4, "end", panel.label(value)))
    for value in xs:
        drawn.append(_rule(x(value), x(value), TOP, HEIGHT - BOTTOM))
        drawn.append(_text(x(value), HEIGHT - BOTTOM + 18, "middle", f"{value:,g}"))
    drawn.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, "middle", panel.across))
    for name, line in panel.lines.items():
        drawn += _line(name, sorted(line), x, y, colours[name], panel.label)
    return drawn


def _line(
    name: str, line: Sequence[Point], x: Position, y: Position, colour: str, label: Callable[[float], str]
) -> list[str]:
    path = " ".join(f"{x(across):.1f},{y(up):.1f}" for across, up in line)
    drawn = [f'<polyline class="line" points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for across, up in line:
        said = escape(f"{name}: {label(up)} at {across:,.4g}")
        drawn.append(
            f'<circle class="point" cx="{x(across):.1f}" cy="{y(up):.1f}" r="3.5" fill="{colour}">'
            f"<title>{said}</title></circle>"
        )
    return drawn


def _scale(values: Sequence[float], start: float, end: float) -> tuple[Position, list[float]]:
    """Where values go between two places, and which have lines."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    first, last = log10(low) - 0.08, log10(high) + 0.08

    def position(value: float) -> float:
        return start + (end - start) * (log10(value) - first) / (last - first)

    powers = range(floor(first), ceil(last) + 1)
    fine = [mark * 10.0**power for power in powers for mark in MARKS]
    inside = [value for value in fine if first <= log10(value) <= last]
    if len(inside) > MOST_MARKS:
        coarse = [value for value in (10.0**power for power in powers) if first <= log10(value) <= last]
        inside = coarse if len(coarse) > 1 else inside[:: ceil(len(inside) / MOST_MARKS)]
    return position, inside


def _rule(x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="value" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
