"""A whole run: what was measured, how, on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from efdn.shapes import Side
from engines.cores import allowed_cores
from engines.nvidia_smi import GpuState, query_gpus
from engines.profiling.advice import Warn, warnings_of
from engines.profiling.machine import commit, load_average, machine
from engines.profiling.measure import Report, Settings, measure_shape
from engines.profiling.plan import Planned
from engines.profiling.result import Lane, ShapeProfile
from engines.profiling.runner import Starter
from engines.worker.client import Worker

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A run of the profiler.

    Attributes:
        command: the command line.
        date: of its start, UTC, ISO 8601.
        commit: of the source, where it is a git checkout.
        machine: processor and versions.
        gpus: before the start.
        load: load average before the start; None where the system does not say.
        settings: how it was measured.
        shapes: what was found.
        warnings: what to be wary of.
    """

    command: tuple[str, ...]
    date: str
    commit: str | None
    machine: dict[str, Any]
    gpus: tuple[GpuState, ...]
    load: float | None
    settings: Settings
    shapes: tuple[ShapeProfile, ...]
    warnings: tuple[Warn, ...]

    @property
    def failed(self) -> list[tuple[ShapeProfile, Lane]]:
        """Engines that did not run, or not to the end."""
        return [(shape, lane) for shape in self.shapes for lane in shape.lanes if lane.error is not None]

    def as_json(self) -> dict[str, Any]:
        """Plain values, raw samples included; times in milliseconds."""
        return {
            "schema": SCHEMA,
            "command": list(self.command),
            "date": self.date,
            "commit": self.commit,
            "machine": self.machine,
            "gpus": [gpu.as_json() for gpu in self.gpus],
            "load_average_before": self.load,
            "settings": self.settings.as_json(),
            "shapes": [shape.as_json() for shape in self.shapes],
            "warnings": [warning.as_json() for warning in self.warnings],
        }


def run_profile(
    planned: Sequence[Planned],
    shapes: Sequence[Side],
    settings: Settings,
    *,
    command: Sequence[str] = (),
    report: Report = lambda share, phase: None,
    start: Starter = Worker,
    only_fitting: bool = False,
) -> Profile:
    """Measures all subjects at all shapes.

    Args:
        planned: see `plan_subjects`.
        shapes: see `plan_shapes`.
        settings: how.
        command: to be noted.
        report: takes the share done, 0..1, and what is at work.
        start: starts a worker.
        only_fitting: leave a subject out at shapes that it is known not to take, rather than report its refusal.
    """
    date, load, gpus = datetime.now(timezone.utc), load_average(), query_gpus()
    found = []
    for index, shape in enumerate(shapes):

        def inner(share: float, phase: str, done: int = index, side: Side = shape) -> None:
            report((done + share) / len(shapes), "{}x{}: {}".format(*side, phase))

        fitting = [entry for entry in planned if not only_fitting or entry.takes(shape)]
        found.append(measure_shape(fitting, shape, settings, report=inner, start=start))
    return Profile(
        command=tuple(command),
        date=date.isoformat(timespec="seconds"),
        commit=commit(),
        machine=machine(),
        gpus=gpus,
        load=load,
        settings=settings,
        shapes=tuple(found),
        warnings=warnings_of(found, load, allowed_cores()),
    )
