"""The whole comparison: models, small shapes before large ones, and what there is no time for said."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.peers.budget import Experience, fitting
from benchmarks.peers.files import Files, prepare
from benchmarks.peers.outputs import OutputKeeper, check_equal, differences
from benchmarks.peers.record import Findings, Measured
from benchmarks.peers.rows import BASELINE, COMPILED, Row
from efdn.errors import EfdnError, EngineError
from efdn.shapes import Side
from engines.options import RunOptions
from engines.profiling.machine import usable_cores
from engines.profiling.measure import Settings, measure_shape
from engines.profiling.plan import Planned
from engines.profiling.runner import Starter
from engines.tiling.memory import free_bytes
from engines.worker.client import Worker
from engines.worker.subject import Subject

SHAPES: tuple[Side, ...] = ((64, 64), (256, 256), (339, 510))
"""A thumbnail, a tile, and the challenge's typical picture."""

FRAME: Side = (720, 1280)
SCALING: tuple[Side, ...] = tuple((side, side) for side in (32, 96, 128, 192, 384))
"""Sizes between the shapes, of the rows that are drawn over pixels."""

STARTS_PIXELS = 256 * 256
"""Starts are timed up to here: beyond, they are the same and the longer first run."""

COMPILED_SHAPE: Side = (64, 64)
COMPILE_LIMIT_S = 900.0

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do.

    Attributes:
        rows: what to compare, the baseline first.
        shapes: of all rows.
        scaling: shapes of the rows that are drawn over pixels.
        seconds: of steady state for each row and shape; slow ones take longer, for there are five rounds at least.
        minutes: to stay within, `torch.compile` apart.
        compiled: whether `torch.compile` is measured.
    """

    rows: tuple[Row, ...]
    shapes: tuple[Side, ...] = SHAPES
    scaling: tuple[Side, ...] = SCALING
    seconds: float = 2.0
    minutes: float = 9.5
    compiled: bool = False


@dataclass(kw_only=True)
class _Comparison:
    """What is at hand while it runs."""

    plan: Plan
    files: Files
    found: Findings
    end: float
    start: Starter
    say: Say
    experience: Experience = field(default_factory=Experience)


def compare_peers(plan: Plan, *, start: Starter = Worker, say: Say = print) -> Findings:
    """Measures everything.

    Args:
        plan: what to do.
        start: starts a worker.
        say: told what is being done.

    Raises:
        ParityError: a row's output is another picture than its network's.
        EngineError: the baseline does not run.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="efdn-peers-", ignore_cleanup_errors=True) as folder:
        files = prepare(Path(folder), plan.rows, say)
        found = Findings(rows=plan.rows)
        end = started + 60 * plan.minutes
        work = _Comparison(plan=plan, files=files, found=found, end=end, start=start, say=say)
        for row in plan.rows:
            if row.source in files.absent:
                found.absent[row.key] = files.absent[row.source]
        present = [row for row in plan.rows if row.key not in found.absent]
        for shape in _in_order(plan.shapes):
            _measure(work, present, shape, scaling=False)
        for shape in plan.scaling:
            if shape not in plan.shapes:
                _measure(work, [row for row in present if row.scaling], shape, scaling=True)
        found.minutes = round((time.monotonic() - started) / 60, 2)
        if plan.compiled:
            _measure_compiled(work)
        found.setup_seconds = files.seconds
    return found


def _measure(work: _Comparison, rows: Sequence[Row], shape: Side, *, scaling: bool) -> None:
    title = "{}x{}".format(*shape)
    settings = Settings(seconds=work.plan.seconds, starts=not scaling and _pixels(shape) <= STARTS_PIXELS)
    left, free = work.end - time.monotonic(), free_bytes()
    kept, reasons = fitting(rows, shape, work.experience, settings, left_s=left, free_bytes=free)
    names = {row.key: row.name for row in rows}
    for key, reason in reasons.items():
        work.say(f"{title}: {names[key]} left out: {reason}")
    if not kept:
        work.found.left_out[title] = reasons
        return
    work.say(f"{title}: {len(kept)} rows ...")
    measured = _together(work, kept, shape, settings)
    work.found.add(replace(measured, left_out=reasons, scaling=scaling))


def _together(work: _Comparison, rows: Sequence[Row], shape: Side, settings: Settings) -> Measured:
    """Measures rows at a shape in turns, and holds their outputs to each other.

    Raises:
        ParityError: outputs differ.
        EngineError: the baseline did not run.
    """
    models: dict[str, Path | None] = {}
    failed: dict[str, str] = {}
    for row in rows:
        try:
            models[row.key] = work.files.model(row.source, shape)
        except EfdnError as error:
            failed[row.key] = str(error)
    ran = [row for row in rows if row.key in models]
    keeper = OutputKeeper(work.start)
    planned = [_planned(row, models[row.key]) for row in ran]
    profile = measure_shape(planned, shape, settings, start=keeper)
    lanes = {row.key: lane for row, lane in zip(ran, profile.lanes, strict=True)}
    baseline = lanes[BASELINE.key]
    if baseline.error is not None or not baseline.rounds:
        raise EngineError(f"the baseline did not run at {profile.title}: {baseline.error or 'nothing else does'}")
    for row in ran:
        work.experience.learn(row, shape, lanes[row.key])
    subjects = {row.key: entry.subject for row, entry in zip(ran, planned, strict=True)}
    pictures = {
        key: keeper.pictures[subject]
        for key, subject in subjects.items()
        if subject in keeper.pictures and lanes[key].error is None
    }
    found = differences(ran, pictures)
    check_equal(ran, found, profile.title)
    return Measured(rows=tuple(ran), profile=profile, lanes=lanes, differences=found, models=models, failed=failed)


def _measure_compiled(work: _Comparison) -> None:
    """`torch.compile` beside the baseline, at one small shape, in its own time."""
    work.say(f"{COMPILED.name}: compiling, which takes minutes ...")

    def start(python: Path | None, environment: Mapping[str, str]) -> Worker:
        return Worker(python, environment, limit_s=COMPILE_LIMIT_S)

    patient = replace(work, start=start)
    settings = Settings(seconds=work.plan.seconds, starts=False)
    work.found.compiled = _together(patient, [BASELINE, COMPILED], COMPILED_SHAPE, settings).as_json()


def _planned(row: Row, model: Path | None) -> Planned:
    options = RunOptions(threads=usable_cores())
    subject = Subject(engine=row.engine, model=model, options=options)
    return Planned(name=row.name, subject=subject, baseline=row is BASELINE)


def _in_order(shapes: Sequence[Side]) -> list[Side]:
    """Small ones first, one at least that needs no estimate: nothing would keep large ones from filling the memory."""
    order = sorted(shapes, key=_pixels)
    return [SHAPES[0], *order] if _pixels(order[0]) > STARTS_PIXELS else order


def _pixels(shape: Side) -> int:
    return shape[0] * shape[1]
