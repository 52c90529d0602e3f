"""Engines on the same picture: what they take, and how far their results are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from efdn.errors import EfdnError, EngineError, UsageError
from engines.comparison.differences import Difference, measure_difference
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Engine
from engines.registry import ENGINES, find_engine, model_kind
from engines.select import Choice, choose_engine
from engines.whole import Pixels, upscale

RUNS, ENOUGH_S = 3, 10.0
"""Runs after the first one, and seconds after which no further is begun."""

HEADINGS = ("engine", "opened", "first run", "best", "median", "PSNR", "largest difference")


@dataclass(frozen=True, kw_only=True)
class EngineRow:
    """One engine on the picture.

    Attributes:
        engine: its name.
        detail: versions and device; None if it did not open.
        open_s: seconds that opening took.
        first_s: seconds of the first run, with what an engine does once for a size.
        run_s: seconds of each run after it; empty if there was none.
        difference: of the result from that of the first engine that ran; None for that one, and for those that failed.
        error: why it could not run, with the remedy; None if it ran.
        result: (h, w, 3) uint8; None if it could not run.
    """

    engine: str
    detail: str | None = None
    open_s: float | None = None
    first_s: float | None = None
    run_s: tuple[float, ...] = ()
    difference: Difference | None = None
    error: str | None = None
    result: Pixels | None = field(default=None, repr=False, compare=False)

    @property
    def best_s(self) -> float | None:
        """The shortest run after the first."""
        return min(self.run_s, default=None)

    @property
    def median_s(self) -> float | None:
        """The median of the runs after the first."""
        return median(self.run_s) if self.run_s else None

    def to_json(self) -> dict[str, Any]:
        """Plain values, every run included. For equal results PSNR is None and the largest difference 0."""
        difference = self.difference
        return {
            "engine": self.engine,
            "detail": self.detail,
            "open_s": self.open_s,
            "first_s": self.first_s,
            "run_s": list(self.run_s),
            "best_s": self.best_s,
            "median_s": self.median_s,
            "psnr_db": None if difference is None or math.isinf(difference.psnr_db) else difference.psnr_db,
            "largest_difference": None if difference is None else difference.largest,
            "error": self.error,
        }


Run = Callable[[Engine, Pixels], Pixels]
Open = Callable[[Path | None, str, RunOptions], Choice]


def usual_engines() -> tuple[str, ...]:
    """Engines that are tried where all are asked for, in the order in which they are chosen."""
    return tuple(entry.name for entry in ENGINES if not entry.on_request)


def compare_engines(
    pixels: Pixels,
    names: Sequence[str] | None = None,
    model: Path | None = None,
    options: RunOptions = DEFAULT_OPTIONS,
    *,
    run: Run = upscale,
    open_engine: Open = choose_engine,
    report: Callable[[str], None] = lambda name: None,
) -> tuple[EngineRow, ...]:
    """Runs engines on a picture, one after another: once, and up to three times more while that takes seconds.

    Args:
        pixels: (H, W, 3) uint8.
        names: of engines; all usual ones if None.
        model: as for `choose_engine`.
        options: how they run.
        run: upscales the picture with an open engine.
        open_engine: opens an engine.
        report: takes the name of each engine before it is opened.

    Returns:
        A row for each name; engines that cannot run here have the reason in theirs.

    Raises:
        UsageError: no engine of that name.
        EngineError: none could run, or the model file is at fault.
    """
    wanted = usual_engines() if names is None else tuple(names)
    for name in wanted:
        find_engine(name)
    if model is not None:
        model_kind(model)
    rows: list[EngineRow] = []
    reference: Pixels | None = None
    for name in wanted:
        report(name)
        rows.append(_row(name, pixels, reference, partial(open_engine, model, name, options), run))
        reference = rows[-1].result if reference is None else reference
    if reference is None:
        reasons = "; ".join(f"{row.engine} ({row.error})" for row in rows)
        raise EngineError(f"no engine could run: {reasons}")
    return tuple(rows)


def _row(name: str, pixels: Pixels, reference: Pixels | None, open_engine: Callable[[], Choice], run: Run) -> EngineRow:
    began = perf_counter()
    try:
        with open_engine().engine as engine:
            open_s = perf_counter() - began
            detail = engine.detail
            first_s, result = _timed(engine, pixels, run)
            run_s: list[float] = []
            while len(run_s) < RUNS and first_s + sum(run_s) < ENOUGH_S:
                run_s.append(_timed(engine, pixels, run)[0])
    except UsageError:
        raise
    except EfdnError as error:
        return EngineRow(engine=name, error=" ".join(str(error).split()))
    except MemoryError:
        return EngineRow(engine=name, error="out of memory: try a smaller picture")
    return EngineRow(
        engine=name,
        detail=detail,
        open_s=open_s,
        first_s=first_s,
        run_s=tuple(run_s),
        difference=None if reference is None else measure_difference(reference, result),
        result=result,
    )


def _timed(engine: Engine, pixels: Pixels, run: Run) -> tuple[float, Pixels]:
    began = perf_counter()
    result = run(engine, pixels)
    return perf_counter() - began, result


def engine_table(rows: Iterable[EngineRow]) -> tuple[str, ...]:
    """Rows as lines of aligned text; engines that could not run stand below the table with their reasons."""
    listed = list(rows)
    ran = [row for row in listed if row.error is None]
    cells = [HEADINGS, *(_cells(row, first=row is ran[0]) for row in ran)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
    return (*lines, *(f"{row.engine}: {row.error}" for row in listed if row.error is not None))


def _cells(row: EngineRow, *, first: bool) -> tuple[str, ...]:
    times = (_seconds(value) for value in (row.open_s, row.first_s, row.best_s, row.median_s))
    if row.difference is None:
        return (row.engine, *times, "reference" if first else "-", "-")
    psnr_db, largest = row.difference
    levels = f"{largest} level{'' if largest == 1 else 's'}"
    return (row.engine, *times, "equal" if math.isinf(psnr_db) else f"{psnr_db:.2f} dB", levels)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first column to the left, figures to the right."""
    return [
        text.rjust(width) if column else text.ljust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
