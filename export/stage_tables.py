"""What was found of the stages, as tables and a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Literal

from efdn.html import Cell, table
from efdn.log_chart import Look, Mark, log_chart
from export.options import OnnxOptions
from export.precision import Precision
from export.report import Report, StageCheck
from export.verification import EXACT, PICTURES, PROBES, Parity, Tolerance

NOT_FINITE = "not finite"
BEFORE, REFERENCE, ALLOWED = "from the stage before", "from PyTorch FP32", "allowed, of either"
LOOKS = {
    BEFORE: Look(shape="ring", colour="#d9a021"),
    REFERENCE: Look(shape="dot", colour="#4a7fc1"),
    ALLOWED: Look(shape="tick", colour="#d8483e"),
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A column: one figure of a comparison.

    Attributes:
        head: name of the column.
        side: what is compared with.
        badness: larger is worse.
        show: the figure in words, where the output is finite.
        limits: the part of a tolerance that is about this figure.
    """

    head: str
    side: Literal["before", "reference"]
    badness: Callable[[Parity], float]
    show: Callable[[Parity], str]
    limits: Callable[[Tolerance], Tolerance] = lambda tolerance: Tolerance()

    def cell(self, check: StageCheck, options: OnnxOptions, tooltip: str = "") -> Cell:
        """The figure of a check, marked where it is beyond what is allowed."""
        parity: Parity = getattr(check, self.side)
        before, reference = tolerances_of(check.stage, options)
        limit = self.limits(before if self.side == "before" else reference)
        kind = "bad" if limit.broken_by(parity) else ""
        return Cell(text=self.text(parity), kind=kind, tooltip=tooltip)

    def text(self, parity: Parity) -> str:
        """The figure in words."""
        return self.show(parity) if parity.finite else NOT_FINITE

    def worst(self, checks: Sequence[StageCheck]) -> StageCheck:
        """The check in which the figure is worst; what is not a number is worse than any."""

        def rank(check: StageCheck) -> tuple[bool, float]:
            badness = self.badness(getattr(check, self.side))
            return isnan(badness), 0.0 if isnan(badness) else badness

        return max(checks, key=rank)


def _figures(side: Literal["before", "reference"]) -> tuple[Figure, ...]:
    return (
        Figure(
            head="max error",
            side=side,
            badness=lambda parity: parity.max_error,
            show=lambda parity: error_text(parity.max_error),
            limits=lambda tolerance: Tolerance(max_error=tolerance.max_error),
        ),
        Figure(
            head="mean error",
            side=side,
            badness=lambda parity: parity.mean_error,
            show=lambda parity: error_text(parity.mean_error),
        ),
        Figure(
            head="PSNR",
            side=side,
            badness=lambda parity: -parity.psnr_db,
            show=lambda parity: psnr_text(parity.psnr_db),
            limits=lambda tolerance: Tolerance(least_psnr_db=tolerance.least_psnr_db),
        ),
        Figure(
            head="grey levels",
            side=side,
            badness=lambda parity: parity.grey_levels,
            show=lambda parity: str(parity.grey_levels),
            limits=lambda tolerance: Tolerance(grey_levels=tolerance.grey_levels),
        ),
        Figure(
            head="differ",
            side=side,
            badness=lambda parity: parity.differing_share,
            show=lambda parity: share_text(parity.differing_share),
            limits=lambda tolerance: Tolerance(differing_share=tolerance.differing_share),
        ),
    )


FIGURES = (*_figures("before"), *_figures("reference"))
MAX_BEFORE, MAX_REFERENCE, PSNR_REFERENCE = FIGURES[0], FIGURES[5], FIGURES[7]
SUMMARY = (MAX_BEFORE, MAX_REFERENCE, *FIGURES[7:])


def tolerances_of(stage: str, options: OnnxOptions) -> tuple[Tolerance, Tolerance]:
    """What a stage is held to: against the stage before it, and against PyTorch."""
    if not stage.startswith("onnx "):
        return EXACT, PROBES[Precision.FP32]
    precision = Precision.FP32 if stage.startswith("onnx fp32") else options.precision
    tolerance = (PICTURES if stage.endswith("uint8") else PROBES)[precision]
    return tolerance, tolerance


def by_stage(report: Report) -> dict[str, list[StageCheck]]:
    """Checks by stage, in order of the stages."""
    stages: dict[str, list[StageCheck]] = {}
    for check in report.checks:
        stages.setdefault(check.stage, []).append(check)
    return stages


def stage_table(report: Report) -> str:
    """One row for each stage: every figure at its worst over all pictures."""
    rows = [
        (stage, _verdict(checks), *_summary(checks, report.options), allowed_text(stage, report.options))
        for stage, checks in by_stage(report).items()
    ]
    header = ["stage", "holds", *(figure.head for figure in SUMMARY), "lowest PSNR on", "allowed"]
    groups = [("", 2), ("stage before", 1), ("PyTorch FP32", 4), ("", 2)]
    return table(header, rows, words=(1, 7, 8), groups=groups)


def _summary(checks: Sequence[StageCheck], options: OnnxOptions) -> list[Cell | str]:
    worst = [(figure, figure.worst(checks)) for figure in SUMMARY]
    cells = [figure.cell(check, options, f"on {check.picture}") for figure, check in worst]
    return [*cells, PSNR_REFERENCE.worst(checks).picture]


def _verdict(checks: Sequence[StageCheck]) -> Cell:
    failed = [check for check in checks if check.broken]
    overflow = next((check.overflow for check in checks if check.overflow), None)
    if failed:
        return Cell(
            text="\N{BALLOT X} no" + (f", on {len(failed)} of {len(checks)}" if len(checks) > 1 else ""), kind="bad"
        )
    if overflow:
        return Cell(text=f"\N{CHECK MARK} yes, but {overflow} overflows", kind="warn long")
    return Cell(text="\N{CHECK MARK} yes", kind="good")


def picture_table(checks: Sequence[StageCheck], options: OnnxOptions) -> str:
    """All figures of all stages on one picture."""
    rows = [(check.stage, _verdict([check]), *(figure.cell(check, options) for figure in FIGURES)) for check in checks]
    header = ["stage", "holds", *(figure.head for figure in FIGURES)]
    return table(header, rows, words=(1,), groups=[("", 2), ("stage before", 5), ("PyTorch FP32", 5)])


def failure_text(check: StageCheck, options: OnnxOptions) -> str:
    """What a check breaks, against what where that makes a difference, and what overflows first."""
    overflow = [f"the first tensor that overflows is {check.overflow}"] if check.overflow else []
    before, reference = tolerances_of(check.stage, options)
    by_before, by_reference = before.broken_by(check.before), reference.broken_by(check.reference)
    if by_before == by_reference or tuple(dict.fromkeys([*by_before, *by_reference])) != check.broken:
        broken = [", ".join(check.broken)]
    else:
        sides = ((BEFORE, by_before), (REFERENCE, by_reference))
        broken = [f"{', '.join(found)} ({side})" for side, found in sides if found]
    return "; ".join(part for part in [*broken, *overflow] if part)


def stage_chart(report: Report) -> str:
    """The largest error of each stage, and what is allowed."""
    rows = []
    for stage, checks in by_stage(report).items():
        limits = {tolerance.max_error for tolerance in tolerances_of(stage, report.options)}
        marks = [
            Mark(value=limit, kind=ALLOWED, tooltip=f"allowed {limit:.0e}") for limit in limits if limit is not None
        ]
        for kind, figure in ((BEFORE, MAX_BEFORE), (REFERENCE, MAX_REFERENCE)):
            worst = figure.worst(checks)
            parity: Parity = getattr(worst, figure.side)
            shown = f"{figure.text(parity)} {kind}, on {worst.picture}"
            marks.append(Mark(value=parity.max_error, kind=kind, tooltip=shown))
        rows.append((stage, marks))
    return log_chart("Largest error by stage, as a share of the range", rows, LOOKS)


def allowed_text(stage: str, options: OnnxOptions) -> str:
    """What a stage is held to: against the stage before; against PyTorch. Once where both are the same."""
    before, reference = tolerances_of(stage, options)
    if before == reference:
        return _tolerance_text(reference)
    return f"{_tolerance_text(before)}; {_tolerance_text(reference)}"


def _tolerance_text(tolerance: Tolerance) -> str:
    levels = tolerance.grey_levels
    parts = [
        f"{tolerance.max_error:.0e}" if tolerance.max_error is not None else "",
        f"{tolerance.least_psnr_db:g} dB" if tolerance.least_psnr_db is not None else "",
        f"{levels} level{'' if levels == 1 else 's'}" if levels is not None else "",
        f"{100 * tolerance.differing_share:g}% differ" if tolerance.differing_share is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def error_text(error: float) -> str:
    """A share of the range."""
    return "0" if error == 0 else f"{error:.1e}" if isfinite(error) else NOT_FINITE


def psnr_text(psnr_db: float) -> str:
    """A PSNR, infinite where both are equal."""
    return "equal" if psnr_db == inf else f"{psnr_db:.1f} dB" if isfinite(psnr_db) else NOT_FINITE


def share_text(share: float) -> str:
    """A share in percent; one that is not zero never looks like it."""
    return "0" if share == 0 else "<0.01%" if share < 1e-4 else f"{share:.2%}"
