"""What half precision does along the network: how errors grow, and how near values come to the limit of their type."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import ml_dtypes

from efdn.html import bar_chart, section, table, wide
from export.interpreter import TensorRange
from export.report import Report
from export.stage_tables import share_text

GROWTH = (
    "How far what each part puts out is from what it puts out in FP32, relative to its size (rms), on '{picture}'. "
    "For scale: rounding a single number to {precision} changes it by up to {unit:.2%}."
)
RANGE = (
    "Largest absolute values over all pictures, as a share of the largest number that the tensor's type holds. "
    "Tensors with the same largest value share a row: mostly one is the other, moved."
)


def growth_section(report: Report) -> list[str]:
    """The error along the network as HTML; nothing where it was not measured."""
    if not report.divergence:
        return []
    precision = report.options.precision
    unit = float(ml_dtypes.finfo(precision.dtype).eps) / 2  # type: ignore[no-untyped-call]
    picture = report.checks[0].picture if report.checks else "the first picture"
    text = GROWTH.format(picture=picture, precision=precision.value, unit=unit)
    bars = [
        (_part(name), error if isfinite(error) else 0.0, f"{error:.3%}" if isfinite(error) else "not finite")
        for name, error in report.divergence
    ]
    return [
        section("How the error grows along the network", f"{text} {_growth_text(report.divergence)}"),
        wide(bar_chart("Error relative to FP32, by part of the network", bars)),
    ]


def _growth_text(divergence: Sequence[tuple[str, float]]) -> str:
    lost = next((name for name, error in divergence if not isfinite(error)), None)
    if lost is not None:
        return f"{_part(lost)} is the first that puts out values that are not finite."
    name, error = max(divergence, key=lambda entry: entry[1])
    return f"The error is largest after {_part(name)}, {error:.2%}."


def _part(name: str) -> str:
    """The part of the network that a tensor comes out of."""
    return name.rpartition("/")[0] or name


def ranges_section(report: Report) -> list[str]:
    """The tensors nearest to overflow as HTML; nothing where none was looked at."""
    if not report.tightest:
        return []
    groups: dict[tuple[str, str], list[TensorRange]] = {}
    for entry in report.tightest:
        groups.setdefault((entry.dtype, str(entry.largest)), []).append(entry)
    rows = [
        (", ".join(entry.name for entry in alike), dtype, _number(alike[0].largest), _share(alike[0]))
        for (dtype, _), alike in groups.items()
    ]
    header = ["tensors", "type", "largest value", "share of the type's range"]
    return [
        section("Headroom", f"{RANGE} {headroom_text(report.tightest)}"),
        wide(table(header, rows, words=(1,))),
    ]


def headroom_text(tightest: Sequence[TensorRange]) -> str:
    """What headroom is left, in one sentence."""
    lost = [entry.name for entry in tightest if not isfinite(entry.largest)]
    if lost:
        return f"No headroom is left: values of {lost[0]} are not finite" + (
            f", nor are those of {len(lost) - 1} more of these." if len(lost) > 1 else "."
        )
    nearest = max(tightest, key=lambda entry: entry.share)
    if not nearest.share:
        return "All values are zero."
    room = 1 / nearest.share
    times = f"{room:,.0f}" if room < 1e6 else f"{room:.0e}"
    return (
        f"The nearest to the limit is {nearest.name} with {_number(nearest.largest)}: "
        f"its values could be {times} times as large before they overflow {nearest.dtype}."
    )


def _number(value: float) -> str:
    return f"{value:,.6g}" if isfinite(value) else "not finite"


def _share(entry: TensorRange) -> str:
    return share_text(entry.share) if isfinite(entry.share) else "beyond it"
