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
from efdn.errors import EfdnError, EngineError, ParityError, UsageError
from efdn.shapes import Side
from engines.cores import usable_cores
from engines.options import RunOptions
from engines.profiling.measure import Settings, measure_shape
from engines.profiling.plan import Planned
from engines.profiling.result import ShapeProfile
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

    Raises:
        UsageError: a time that is not more than 0.
    """

    rows: tuple[Row, ...]
    shapes: tuple[Side, ...] = SHAPES
    scaling: tuple[Side, ...] = SCALING
    seconds: float = 2.0
    minutes: float = 11.0
    compiled: bool = False

    def __post_init__(self) -> None:
        for name in ("seconds", "minutes"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be more than 0, got {getattr(self, name)}")


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
    """Measures everything; outputs that differ end it, and are told in what was found by then.

    Args:
        plan: what to do.
        start: starts a worker.
        say: told what is being done.

    Raises:
        EngineError: the baseline does not run at the first shape.
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
        try:
            _measure_shapes(work)
            found.minutes = round((time.monotonic() - started) / 60, 2)
            if plan.compiled:
                _measure_compiled(work)
        except ParityError as error:
            found.minutes = found.minutes or round((time.monotonic() - started) / 60, 2)
            found.different = str(error)
        found.setup_seconds = files.seconds
    return found


def _measure_shapes(work: _Comparison) -> None:
    present = [row for row in work.plan.rows if row.key not in work.found.absent]
    for shape in _in_order(work.plan.shapes):
        _measure(work, present, shape, scaling=False)
    for shape in work.plan.scaling:
        if shape not in work.plan.shapes:
            _measure(work, [row for row in present if row.scaling], shape, scaling=True)


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
    try:
        measured = _together(work, kept, shape, settings)
    except EngineError as error:
        if not work.found.shapes:
            raise
        work.say(f"{title}: {error}")
        work.found.left_out[title] = reasons | dict.fromkeys([row.key for row in kept], str(error))
        return
    work.found.add(replace(measured, left_out=reasons, scaling=scaling))
    check_equal(measured.rows, measured.differences, title)


def _together(work: _Comparison, rows: Sequence[Row], shape: Side, settings: Settings) -> Measured:
    """Measures rows at a shape in turns, and compares their outputs.

    Raises:
        EngineError: the baseline did not run, or nothing beside it.
    """
    models: dict[str, Path | None] = {}
    failed: dict[str, str] = {}
    for row in rows:
        try:
            models[row.key] = work.files.model(row.source, shape)
        except EfdnError as error:
            failed[row.key] = str(error)
            work.experience.note_failure(row, shape, str(error))
    ran = [row for row in rows if row.key in models]
    keeper = OutputKeeper(work.start)
    planned = [_planned(row, models[row.key]) for row in ran]
    profile = measure_shape(planned, shape, settings, start=keeper)
    lanes = {row.key: lane for row, lane in zip(ran, profile.lanes, strict=True)}
    for row in ran:
        work.experience.learn(row, shape, lanes[row.key])
    _check_baseline(profile)
    subjects = {row.key: entry.subject for row, entry in zip(ran, planned, strict=True)}
    pictures = {
        key: keeper.pictures[subject]
        for key, subject in subjects.items()
        if subject in keeper.pictures and lanes[key].error is None
    }
    found = differences(ran, pictures)
    return Measured(rows=tuple(ran), profile=profile, lanes=lanes, differences=found, models=models, failed=failed)


def _check_baseline(profile: ShapeProfile) -> None:
    """Raises EngineError where the baseline did not run, with the reasons of all."""
    baseline = next(lane for lane in profile.lanes if lane.name == BASELINE.name)
    if baseline.error is None and baseline.rounds:
        return
    others = [f"{lane.name}: {lane.error}" for lane in profile.lanes if lane is not baseline and lane.error]
    said = "nothing ran beside the baseline" if baseline.error is None else "the baseline did not run"
    reasons = [*([] if baseline.error is None else [baseline.error]), *others]
    raise EngineError(f"{said} at {profile.title}: {'; '.join(reasons) or 'no reason is known'}")


def start_patient(python: Path | None, environment: Mapping[str, str]) -> Worker:
    """Starts a worker that may take minutes to compile."""
    return Worker(python, environment, limit_s=COMPILE_LIMIT_S)


def _measure_compiled(work: _Comparison) -> None:
    """`torch.compile` beside the baseline, at one small shape, in its own time."""
    work.say(f"{COMPILED.name}: compiling, which takes minutes ...")
    patient = replace(work, start=start_patient)
    settings = Settings(seconds=work.plan.seconds, starts=False)
    try:
        measured = _together(patient, [BASELINE, COMPILED], COMPILED_SHAPE, settings)
    except EfdnError as error:
        work.found.absent[COMPILED.key] = str(error)
        return
    work.found.compiled = measured.as_json()
    check_equal(measured.rows, measured.differences, measured.profile.title)


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
