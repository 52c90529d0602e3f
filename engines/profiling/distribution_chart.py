"""A chart of how times are distributed, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from efdn.html import svg
from engines.profiling.percentiles import percentile

WIDTH, LABEL_WIDTH, RIGHT, ROW_HEIGHT, TOP = 920, 250, 30, 64, 66
BAR_HEIGHT, BIN_WIDTH = 40, 5
LOG_FROM = 6.0
"""Where the largest time is as many times the smallest, the scale is logarithmic."""

STEPS = (1, 2, 5, 10)
MOST_LINES = 9

SAMPLES, MEDIAN, P95 = "#7d93ad", "#2f9d6e", "#d9822b"

Position = Callable[[float], float]


def distribution_chart(title: str, rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """A histogram for each row on one scale, with median and 95th percentile marked.

    Args:
        title: shown above, and read by screen readers.
        rows: (label, milliseconds, at least one).
    """
    values = [value for _, samples in rows for value in samples]
    bottom = TOP + ROW_HEIGHT * len(rows)
    position, marks = _scale(min(values), max(values)) if values else (lambda value: 0.0, [])
    drawn = [_legend(), *(_line(position(value), bottom, _text(value)) for value in marks)]
    for index, (label, samples) in enumerate(rows):
        base = TOP + (index + 1) * ROW_HEIGHT - 12
        drawn.append(f'<text x="{LABEL_WIDTH - 12}" y="{base - 8}" text-anchor="end">{escape(label)}</text>')
        drawn += _histogram(samples, position, base)
        for share, colour, name in ((0.5, MEDIAN, "median"), (0.95, P95, "p95")):
            value = percentile(samples, share)
            drawn.append(
                f'<rect class="mark" x="{position(value) - 1.5:.1f}" y="{base - BAR_HEIGHT - 4}" width="3" '
                f'height="{BAR_HEIGHT + 8}" fill="{colour}"><title>{escape(f"{label}: {name} {value:.3f} ms")}</title>'
                "</rect>"
            )
    return svg(title, WIDTH, bottom + 28, drawn)


def _histogram(samples: Sequence[float], position: Position, base: float) -> list[str]:
    """Bars whose heights are shares of the fullest one."""
    counts: dict[int, list[float]] = {}
    for value in samples:
        counts.setdefault(floor((position(value) - LABEL_WIDTH) / BIN_WIDTH), []).append(value)
    fullest = max(map(len, counts.values()))
    bars = []
    for place, members in sorted(counts.items()):
        height = max(2.0, BAR_HEIGHT * len(members) / fullest)
        said = f"{len(members)} of {len(samples)} runs, {min(members):.3f} to {max(members):.3f} ms"
        bars.append(
            f'<rect class="bin" x="{LABEL_WIDTH + place * BIN_WIDTH}" y="{base - height:.1f}" width="{BIN_WIDTH - 1}" '
            f'height="{height:.1f}" fill="{SAMPLES}"><title>{said}</title></rect>'
        )
    return bars


def _scale(low: float, high: float) -> tuple[Position, list[float]]:
    """Where times go, and where lines stand."""
    room = WIDTH - RIGHT - LABEL_WIDTH
    if low > 0 and high / low >= LOG_FROM:
        start, end = log10(low) - 0.03, log10(high) + 0.03
        marks = _log_marks(low, high)
        return lambda value: LABEL_WIDTH + room * (log10(value) - start) / (end - start), marks
    margin = max((high - low) * 0.05, high * 0.01, 1e-6)
    left, right = max(0.0, low - margin), high + margin
    return lambda value: LABEL_WIDTH + room * (value - left) / (right - left), _linear_marks(left, right)


def _log_marks(low: float, high: float) -> list[float]:
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    fine = [step * 10.0**power for power in powers for step in STEPS[:3]]
    coarse = [10.0**power for power in powers]
    inside = [value for value in fine if low <= value <= high]
    return inside if 1 < len(inside) <= MOST_LINES else [value for value in coarse if low <= value <= high]


def _linear_marks(left: float, right: float) -> list[float]:
    rough = (right - left) / MOST_LINES
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in STEPS if factor * power >= rough * 0.999)
    return [index * step for index in range(ceil(left / step), floor(right / step) + 1)]


def _text(value: float) -> str:
    return f"{value:.6g} ms"


def _line(x: float, bottom: float, name: str) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text class="value" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(name)}</text>'
    )


def _legend() -> str:
    entries, x = [], float(LABEL_WIDTH)
    for name, colour in (("runs", SAMPLES), ("median", MEDIAN), ("95th percentile", P95)):
        entries.append(
            f'<rect x="{x:.0f}" y="38" width="14" height="14" rx="2" fill="{colour}"/>'
            f'<text x="{x + 20:.0f}" y="50">{name}</text>'
        )
        x += 45 + 7.5 * len(name)
    return "".join(entries)
