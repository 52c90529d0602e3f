"""What there is time and memory for: runs at a new shape are estimated from those at others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.peers.rows import BASELINE, Row
from efdn.shapes import Side
from engines.profiling.measure import FEWEST_ROUNDS, PATIENCE, ROUNDS, Settings
from engines.profiling.result import Lane

CAUTION = 1.25
"""Times more than in proportion to the pixels: larger maps leave the caches."""

MEMORY_SHARE = 0.7
"""Of the free memory. All engines of a shape are in memory together, for they take turns."""

USUAL_START_S = 4.0
"""Of an engine that has not been started yet: imports, and opening its model."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How one row ran at a shape.

    Attributes:
        pixels: of the picture.
        run_s: a run, median.
        start_s: from the start of the process to just before the first run.
        memory_bytes: by which the process grew; None where the system does not tell.
        resident_bytes: that it took before it grew, whatever the shape; 0 where the system does not tell.
    """

    pixels: int
    run_s: float
    start_s: float
    memory_bytes: int | None
    resident_bytes: int = 0


@dataclass(kw_only=True)
class Experience:
    """How all rows have run so far.

    Attributes:
        paces: by key of the row.
        failures: the smallest shape that each row failed at, and why, by its key.
    """

    paces: dict[str, list[Pace]] = field(default_factory=dict)
    failures: dict[str, tuple[Side, str]] = field(default_factory=dict)

    def learn(self, row: Row, shape: Side, lane: Lane) -> None:
        """Notes a lane that has run, or failed."""
        if lane.error is not None:
            self.note_failure(row, shape, lane.error)
            return
        summary = lane.summary("end_to_end")
        if summary is None:
            return
        start = lane.cold or lane.warm
        start_s = USUAL_START_S if start is None else (start.total_ms - start.first_ms) / 1e3
        resident = None if lane.memory is None else lane.memory.host_before
        pace = Pace(
            pixels=_pixels(shape),
            run_s=summary.median / 1e3,
            start_s=start_s,
            memory_bytes=lane.host_growth,
            resident_bytes=resident or 0,
        )
        self.paces.setdefault(row.key, []).append(pace)

    def note_failure(self, row: Row, shape: Side, reason: str) -> None:
        """Notes that a row cannot run at a shape."""
        known = self.failures.get(row.key)
        if known is None or _pixels(shape) < _pixels(known[0]):
            self.failures[row.key] = (shape, reason)

    def failure(self, row: Row, shape: Side) -> str | None:
        """Why a row is not worth another try at a shape; None where it has not failed at this or a smaller one."""
        known = self.failures.get(row.key)
        if known is None or _pixels(known[0]) > _pixels(shape):
            return None
        return "failed at {}x{}: {}".format(*known[0], known[1])

    def expect(self, row: Row, shape: Side) -> Pace | None:
        """How a row will run at a shape, by what is nearest to it; None for a row that has not run."""
        pixels = _pixels(shape)
        known = self.paces.get(row.key)
        if not known:
            return None
        nearest = min(known, key=lambda pace: abs(pace.pixels - pixels))
        factor = pixels / nearest.pixels * (CAUTION if pixels > nearest.pixels else 1.0)
        memory = None if nearest.memory_bytes is None else int(nearest.memory_bytes * max(1.0, factor))
        return replace(nearest, pixels=pixels, run_s=nearest.run_s * factor, memory_bytes=memory)


def seconds_for(paces: Sequence[Pace], settings: Settings) -> float:
    """How long engines that run at these paces take to be measured together."""
    starts = 2 if settings.starts else 1
    before = sum(starts * (pace.start_s + pace.run_s) + max(settings.warm_up_s, pace.run_s) for pace in paces)
    one_round = sum(max(settings.seconds / ROUNDS, pace.run_s) for pace in paces)
    patience = PATIENCE * settings.seconds * len(paces)
    rounds = min(ROUNDS, max(FEWEST_ROUNDS, int(patience / one_round) + 1)) if one_round else 0
    return before + rounds * one_round


def fitting(
    rows: Sequence[Row],
    shape: Side,
    experience: Experience,
    settings: Settings,
    *,
    left_s: float,
    free_bytes: int | None,
) -> tuple[tuple[Row, ...], dict[str, str]]:
    """Rows that there is time and memory for, and why the others are left out.

    Args:
        rows: all that are wanted; nothing is left out without experience of it.
        shape: height and width.
        experience: so far.
        settings: how it would be measured.
        left_s: time.
        free_bytes: memory; None where the system does not tell.
    """
    kept: list[Row] = []
    paces: list[Pace] = []
    reasons: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: -row.weight):
        pace = experience.expect(row, shape)
        reason = experience.failure(row, shape)
        if reason is None and pace is not None:
            reason = _reason([*paces, pace], settings, left_s, free_bytes)
        if reason is not None:
            reasons[row.key] = reason
            if row is BASELINE:  # Nothing is worth measuring without it.
                return (), dict.fromkeys([row.key for row in rows], f"nothing without the baseline: {reason}")
            continue
        kept.append(row)
        paces += [] if pace is None else [pace]
    return tuple(row for row in rows if row in kept), reasons


def _reason(paces: Sequence[Pace], settings: Settings, left_s: float, free_bytes: int | None) -> str | None:
    """Why engines of these paces cannot be measured together; None if they can."""
    seconds = seconds_for(paces, settings)
    if seconds > left_s:
        return f"about {seconds:.0f} s with the rows before it, {max(0.0, left_s):.0f} s left"
    memory = sum((pace.memory_bytes or 0) + pace.resident_bytes for pace in paces)
    if free_bytes is not None and memory > MEMORY_SHARE * free_bytes:
        return (
            f"about {memory / 1e9:.1f} GB with the rows before it, "
            f"{MEMORY_SHARE:.0%} of {free_bytes / 1e9:.1f} GB free may be taken"
        )
    return None


def _pixels(shape: Side) -> int:
    return shape[0] * shape[1]
