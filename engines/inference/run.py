"""Files from their names to their results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from efdn.errors import EfdnError, OutputError
from engines.batch.collisions import SHOWN
from engines.batch.failures import explain
from engines.batch.ledger import STOPPED
from engines.batch.names import listing, shown
from engines.batch.outcome import Outcome, Status
from engines.batch.pipeline import run_batch
from engines.batch.sources import Sources
from engines.batch.summary import Summary
from engines.batch.targets import Existing, Plan, plan_targets
from engines.batch.task import Task
from engines.batch.work import Concurrency, Finished, Report
from engines.inference.checks import Checks
from engines.inference.comparing import sheet_beside
from engines.inference.wanted import SAME, Wanted
from engines.inference.work import FileWork
from engines.protocol import Engine


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Where results go.

    Attributes:
        output: a folder, or a file where there is one source; None is beside each source.
        suffix: between a source's stem and the ending.
        existing: what becomes of results that are there.
    """

    output: Path | None = None
    suffix: str
    existing: Existing = Existing.REFUSE


def plan_files(sources: Sources, engine: Engine, wanted: Wanted, naming: Naming) -> Plan:
    """Gives each file its result's name, and holds each result to its format. Nothing is written.

    Returns:
        What is to be done, and outcomes of files that nothing is done with: those that cannot be read, or whose result
        the format cannot hold, among them.

    Raises:
        UsageError, OutputError: see `plan_targets`.
    """
    checks = Checks(engine, wanted, mixed=len({source.video for source in sources.found}) > 1)
    single = wanted.ending if wanted.ending != SAME else None
    named = naming.output is not None and not naming.output.is_dir() and bool(naming.output.suffix)
    plan = plan_targets(
        sources.found,
        output=naming.output,
        suffix=naming.suffix,
        ending=single if named and len(sources.found) == 1 else checks.ending,
        existing=naming.existing,
    )
    if wanted.compare and naming.existing is not Existing.OVERWRITE:
        _refuse_existing_sheets(plan.tasks)
    tasks: list[Task] = []
    failed: list[Outcome] = []
    for task in plan.tasks:
        try:
            checks.check(task)
            tasks.append(task)
        except (EfdnError, OSError) as error:
            reason = explain(error).reason
            failed.append(Outcome(source=task.source.path, target=task.target, status=Status.FAILED, reason=reason))
    return Plan(tasks=tuple(tasks), outcomes=(*sources.outcomes, *plan.outcomes, *failed))


def _refuse_existing_sheets(tasks: Sequence[Task]) -> None:
    sheets = [sheet_beside(task.target) for task in tasks if not task.source.video]
    there = [shown(sheet) for sheet in sheets if os.path.lexists(sheet)]
    if there:
        raise OutputError(
            f"{listing(there, SHOWN)} exists: give --overwrite to replace what is there, or another --suffix"
        )


def run_files(plan: Plan, engine: Engine, wanted: Wanted, concurrency: Concurrency, report: Report) -> Summary:
    """Does what was planned: pictures first, read and written while others are upscaled, then videos.

    Args:
        plan: as `plan_files` made it.
        engine: the one it was made with.
        wanted: of the results.
        concurrency: how many pictures are worked on at once.
        report: takes what happens.

    Returns:
        An outcome for every file, none missing, also after Ctrl-C.
    """
    began = perf_counter()
    videos: Sequence[Task] = [task for task in plan.tasks if task.source.video]
    pictures = [task for task in plan.tasks if not task.source.video]
    summary = run_batch(
        pictures, FileWork(engine, wanted), concurrency=concurrency, before=plan.outcomes, report=report
    )
    if not videos:
        return summary
    if summary.interrupted:
        left = tuple(
            Outcome(source=task.source.path, target=task.target, status=Status.CANCELLED, reason=STOPPED)
            for task in videos
        )
        for outcome in left:
            report(Finished(outcome=outcome))
        return replace(summary, outcomes=(*summary.outcomes, *left))
    from engines.inference.videos import upscale_videos

    moving = upscale_videos(videos, engine, wanted, report, len(pictures), len(plan.tasks))
    return Summary(
        outcomes=(*summary.outcomes, *moving.outcomes),
        seconds=perf_counter() - began,
        interrupted=moving.interrupted,
        waits=summary.waits + moving.waits,
    )
