"""The figures of a shape, an engine a row, as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from efdn.html import Cell, table
from engines.profiling.advice import GREY_LEVELS
from engines.profiling.result import Lane, ShapeProfile

LONGEST_LABEL = 34
"""Characters that a chart has room for before its bars."""

GROUPS = (
    ("", 1),
    ("times as fast", 2),
    ("network, ms", 4),
    ("end to end", 3),
    ("output differs by", 3),
)
HEADER = (
    *("engine", "network", "end to end"),
    *("median", "p95", "p99", "cv"),
    *("median, ms", "pictures/s", "MP/s"),
    *("levels", "values", "PSNR"),
)


def figures_table(shape: ShapeProfile, lanes: Sequence[Lane]) -> str:
    """A table of engines, each of which has run."""
    rows = [[_name(lane), *_ratios(lane, shape), *_times(lane, shape), *_output(lane, shape)] for lane in lanes]
    return table(HEADER, rows, groups=GROUPS)


def milliseconds(value: float) -> str:
    """A time, with as many digits as say something."""
    return f"{value:.{3 if value < 10 else 2 if value < 100 else 1}f}"


def fitted(name: str, most: int = LONGEST_LABEL) -> str:
    """A name that fits beside a chart, cut in its middle if it must be."""
    if len(name) <= most:
        return name
    before = (most - 3) // 2
    return f"{name[:before]}...{name[before + 3 - most :]}"


def _name(lane: Lane) -> Cell:
    return Cell(text=lane.name, tooltip="" if lane.opened is None else f"{lane.opened.model}: {lane.opened.detail}")


def _ratios(lane: Lane, shape: ShapeProfile) -> list[object]:
    ratio = shape.ratio(lane)
    ratios = (None, None) if ratio is None else (ratio.compute, ratio.end_to_end)
    return ["" if value is None else Cell(text=f"{value:.2f}x", kind="good" if value > 1 else "") for value in ratios]


def _times(lane: Lane, shape: ShapeProfile) -> list[object]:
    network, whole = lane.summary("compute"), lane.summary("end_to_end")
    assert network is not None
    assert whole is not None
    rates = (shape.pictures_per_s(lane), shape.megapixels_per_s(lane))
    return [
        *map(milliseconds, (network.median, network.p95, network.p99)),
        f"{network.cv:.1%}",
        milliseconds(whole.median),
        *("" if rate is None else f"{rate:.2f}" for rate in rates),
    ]


def _output(lane: Lane, shape: ShapeProfile) -> list[object]:
    difference = lane.difference
    if difference is None:
        return ["reference" if lane.name == shape.reference else "", "", ""]
    kind = "bad" if difference.grey_levels > GREY_LEVELS else "good"
    quality = "equal" if difference.psnr_db is None else f"{difference.psnr_db:.1f} dB"
    return [Cell(text=str(difference.grey_levels), kind=kind), f"{difference.differing_share:.3%}", quality]
