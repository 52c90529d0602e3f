"""Files through the engines of a cluster, from the address to the summary."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from efdn.errors import EngineError
from efdn.files import part_beside
from engines.batch.sources import Sources
from engines.batch.targets import Existing
from engines.batch.work import Finished, Report
from engines.cluster.chunks import absolute
from engines.cluster.connect import connected
from engines.cluster.described import DescribedEngine
from engines.cluster.line import safely
from engines.cluster.options import ClusterOptions, WorkerOptions
from engines.cluster.probe import Survey, look_everywhere, question_of
from engines.cluster.run import run_on_cluster
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, alive_nodes, crew_of
from engines.inference.run import Naming, plan_files
from engines.inference.wanted import Wanted

NEVER_ON_GPUS = ("onnxruntime-cpu", "openvino")
"""Engines that need no look at nodes with GPUs; of the others, the nodes tell where they run."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be done.

    Attributes:
        sources: as found.
        wanted: of the results.
        output: see `Naming`.
        suffix: between a source's stem and the ending, given the model's scale.
        existing: what becomes of results that are there.
    """

    sources: Sources
    wanted: Wanted
    output: Path | None
    suffix: Callable[[int], str]
    existing: Existing


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A cluster that was looked at.

    Attributes:
        engine: that the plan is made with.
        survey: of the nodes.
        crew: the workers.
        address: of its head; None where it was started here for this run.
    """

    engine: DescribedEngine
    survey: Survey
    crew: Crew
    address: str | None = None


class Show(Protocol):
    """Tells people what happens."""

    @abstractmethod
    def ready(self, ready: Ready) -> None:
        """Takes what was found, before any work."""

    @abstractmethod
    def events(self, count: int) -> AbstractContextManager[Report]:
        """What takes events, of that many files."""

    @abstractmethod
    def summary(self, summary: ClusterSummary) -> None:
        """Takes the end."""


def upscale_on_cluster(
    request: Request,
    options: ClusterOptions,
    show: Show,
) -> ClusterSummary:
    """Connects, looks at every node, plans, and does the work. Where nothing was found, there is no need of a cluster.

    Args:
        request: what is to be done.
        options: of the cluster.
        show: takes what there is to tell.

    Raises:
        EfdnError: see `connected`, `look_everywhere` and `plan_files`.
    """
    if not request.sources.found:
        return _nothing_found(request, show)
    if options.model is not None:
        options = replace(options, model=absolute(options.model))
    mark = secrets.token_hex(4)
    with connected(options.address) as (ray, own):
        address = None if own else str(ray.get_runtime_context().gcs_address)
        ready = replace(_look(ray, request, options, mark), address=address)
        show.ready(ready)
        scale = ready.engine.model.scale
        naming = Naming(output=request.output, suffix=request.suffix(scale), existing=request.existing)
        plan = plan_files(request.sources, ready.engine, request.wanted, naming)
        worker = WorkerOptions(
            cluster=options,
            wanted=request.wanted,
            threads=ready.crew.cores,
            mark=mark,
            expected=ready.survey.facts,
        )
        with show.events(len(plan.tasks) + len(plan.outcomes)) as report:
            summary = run_on_cluster(ray, plan, ready.crew, worker, report)
        # While connected: where this node's Ray has died, it takes this process with it, but not at once.
        show.summary(summary)
        return summary


def _nothing_found(request: Request, show: Show) -> ClusterSummary:
    """Tells what is wrong with each of the names."""
    outcomes = request.sources.outcomes
    with show.events(len(outcomes)) as report:
        for outcome in outcomes:
            report(Finished(outcome=outcome))
    summary = ClusterSummary(outcomes=outcomes, seconds=0.0, workers=0, nodes=0, rounds=0)
    show.summary(summary)
    return summary


def _look(ray: Any, request: Request, options: ClusterOptions, mark: str) -> Ready:
    """On GPUs where there are any and the engine makes use of them, else on cores."""
    nodes = safely(lambda: alive_nodes(ray))
    first = absolute(request.sources.found[0].path)
    folder = absolute(request.output) if request.output is not None else first.parent
    wishes = (True, False) if any(node.gpus for node in nodes) and options.engine not in NEVER_ON_GPUS else (False,)
    warnings: tuple[str, ...] = ()
    with _token(folder, mark) as token:
        for on_gpus in wishes:
            try:
                crew = crew_of(nodes, options.cores, on_gpus=on_gpus)
            except EngineError as error:
                if not on_gpus:
                    raise
                warnings = (f"the cluster's GPUs are left idle: {error}",)
                continue
            question = question_of(options, crew, first, token)
            seen = safely(partial(look_everywhere, ray, crew, question))
            if seen.on_device or not on_gpus:
                break
    survey = replace(seen, warnings=warnings + seen.warnings)
    return Ready(engine=DescribedEngine(seen.facts), survey=survey, crew=crew)


@contextmanager
def _token(folder: Path, mark: str) -> Iterator[Path | None]:
    """A file where results go, that nodes are to see too; None where none can be made, which planning tells."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    path = part_beside(folder / mark)
    try:
        path.touch(exist_ok=False)
    except OSError:
        yield None
        return
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
