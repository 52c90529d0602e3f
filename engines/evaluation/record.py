"""A whole evaluation: which engines, on which sets, how, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from efdn.errors import UsageError
from engines.evaluation.factsheet import Candidate, Factsheet, measure_factsheet
from engines.evaluation.measure import Report, Seen, check_sets, measure_sets
from engines.evaluation.pairs import check_folders, find_all_sets
from engines.evaluation.pictures import Checks
from engines.evaluation.result import BICUBIC, SetScores, Settings
from engines.profiling.machine import machine
from engines.profiling.plan import Planned
from engines.profiling.runner import Starter
from engines.protocol import Engine
from engines.select import choose_engine
from engines.worker.client import Worker

SCHEMA = 1
FACTSHEET_SHARE = 0.4
"""Of the progress, where a factsheet is asked for."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be evaluated.

    Attributes:
        folders: sets of pictures, see `pairs`.
        planned: engines and their models, see `plan_subjects`.
        settings: how to measure.
        max_pixels: largest LR picture to take, padding included.
        at_most: pictures of a set, the first by name; all of them if None.
        factsheet: whether to fill in the challenge's columns too.
    """

    folders: tuple[Path, ...]
    planned: tuple[Planned, ...]
    settings: Settings
    max_pixels: int
    at_most: int | None = None
    factsheet: bool = False


@dataclass(frozen=True, kw_only=True)
class Method:
    """An engine that was measured.

    Attributes:
        name: in all tables.
        engine: its name in the registry.
        detail: versions and device.
        model: name of what it ran.
        passed_over: engines that would have come first, each with its reason.
    """

    name: str
    engine: str
    detail: str
    model: str
    passed_over: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "passed_over": list(self.passed_over)}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A whole run.

    Attributes:
        command: the command line.
        date: of its start, UTC, ISO 8601.
        machine: processor and versions.
        scale: magnification.
        settings: how it was measured.
        methods: the engines.
        sets: what was found.
        factsheet: the challenge's columns, where asked for.
    """

    command: tuple[str, ...]
    date: str
    machine: Mapping[str, Any]
    scale: int
    settings: Settings
    methods: tuple[Method, ...]
    sets: tuple[SetScores, ...]
    factsheet: Factsheet | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values; PSNR in dB, None where it is infinite."""
        return {
            "schema": SCHEMA,
            "command": list(self.command),
            "date": self.date,
            "machine": dict(self.machine),
            "scale": self.scale,
            "convention": self.settings.convention.name,
            "border": self.settings.border,
            "pad": self.settings.pad,
            "engines": [method.as_json() for method in self.methods],
            "sets": [entry.as_json() for entry in self.sets],
            "factsheet": None if self.factsheet is None else self.factsheet.as_json(),
        }


def run_evaluation(
    request: Request,
    *,
    command: Sequence[str] = (),
    report: Report = lambda share, phase: None,
    look: Callable[[Seen], None] = lambda seen: None,
    start: Starter = Worker,
) -> Evaluation:
    """Evaluates.

    Args:
        request: what.
        command: to be noted.
        report: takes the share done, 0..1, and what is at work.
        look: is shown every picture.
        start: starts the workers of the factsheet.

    Raises:
        ImageError: no pictures, or one that cannot be measured.
        UsageError: models of different scales.
        EngineError: an engine cannot be opened, or failed.
        ShapeError: an engine does not take a picture's size.
    """
    check_folders(request.folders)
    date, settings = datetime.now(timezone.utc).isoformat(timespec="seconds"), request.settings
    share = 1 - FACTSHEET_SHARE if request.factsheet else 1.0
    with ExitStack() as stack:
        methods, engines = _open(request.planned, stack)
        scale = _common_scale(engines)
        candidates = _candidates(request.planned, engines)
        measured = _measured(request, engines, lambda done, phase: report(share * done, phase), look)

    def report_times(done: float, phase: str) -> None:
        report(share + FACTSHEET_SHARE * done, phase)

    factsheet = (
        measure_factsheet(candidates, measured, settings, report=report_times, start=start)
        if request.factsheet
        else None
    )
    return Evaluation(
        command=tuple(command),
        date=date,
        machine=machine(),
        scale=scale,
        settings=settings,
        methods=methods,
        sets=measured,
        factsheet=factsheet,
    )


def _measured(
    request: Request, engines: Mapping[str, Engine], report: Report, look: Callable[[Seen], None]
) -> tuple[SetScores, ...]:
    settings, scale = request.settings, _common_scale(engines)
    sets = find_all_sets(request.folders, scale, at_most=request.at_most)
    check_sets(sets, Checks(scale=scale, border=settings.border, pad=settings.pad, max_pixels=request.max_pixels))
    return measure_sets(sets, engines, settings, report=report, look=look)


def _candidates(planned: Sequence[Planned], engines: Mapping[str, Engine]) -> list[Candidate]:
    """What the factsheet opens anew, by the names of the engines that are open."""
    return [
        Candidate(name=name, subject=entry.subject, smallest_side=engine.model.smallest_side)
        for (name, engine), entry in zip(engines.items(), planned, strict=True)
    ]


def _open(planned: Sequence[Planned], stack: ExitStack) -> tuple[tuple[Method, ...], dict[str, Engine]]:
    methods: list[Method] = []
    engines: dict[str, Engine] = {}
    several = len({entry.subject.model for entry in planned}) > 1
    for entry in planned:
        subject = entry.subject
        choice = choose_engine(subject.model, subject.engine, subject.options)
        engine = stack.enter_context(choice.engine)
        name = _distinct(f"{engine.name} {engine.model.name}" if several else engine.name, engines)
        engines[name] = engine
        methods.append(
            Method(
                name=name,
                engine=engine.name,
                detail=engine.detail,
                model=engine.model.name,
                passed_over=choice.passed_over,
            )
        )
    return tuple(methods), engines


def _distinct(name: str, others: Mapping[str, object]) -> str:
    """The name, numbered if it is taken: files of one name in two folders, or "auto" and what it chose."""
    number, distinct = 1, name
    while distinct in others or distinct == BICUBIC:
        number += 1
        distinct = f"{name} ({number})"
    return distinct


def _common_scale(engines: Mapping[str, Engine]) -> int:
    scales = {name: engine.model.scale for name, engine in engines.items()}
    if len(set(scales.values())) > 1:
        told = ", ".join(f"{name} x{scale}" for name, scale in scales.items())
        raise UsageError(f"models of different scales cannot be measured on the same pictures ({told}): give one scale")
    return next(iter(scales.values()))
