"""A cluster that does as it is told, round by round, and runs on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from engines.batch.outcome import Outcome, Status
from engines.batch.targets import Plan
from engines.batch.task import Task
from engines.batch.work import Event
from engines.cluster import line
from engines.cluster import run as rounds
from engines.cluster.chunks import Chunk
from engines.cluster.facts import facts_of
from engines.cluster.journal import Journal
from engines.cluster.notes import ChunkEnded, PictureOver
from engines.cluster.options import ClusterOptions, WorkerOptions
from engines.cluster.run import run_on_cluster
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, Node
from engines.inference.wanted import Wanted
from engines.select import Choice
from tests.fake_engine import NearestNeighbour

MARK = "feed"
FIRST, SECOND = (Node(node_id=name, address=name, cores=1, gpus=0) for name in ("first", "second"))
CREW = Crew(workers=2, cores=1, gpus=0, nodes=(FIRST, SECOND))

CHUNK = 2
"""Pictures of a chunk, where twenty are for two workers."""

Script = Callable[[Journal, Sequence[Chunk]], bool]
"""What a round does: tells the journal, and says whether it comes to an end."""


@dataclass
class FakeCluster:
    """Does one script a round, and the last one again and again.

    Attributes:
        scripts: of the rounds.
        alive: nodes that there are.
        given: chunks of each round, as indexes of tasks.
        error: of every round.
        ends_when_left: whether a round that does not come to an end by itself does so when it is left.
        crews: of each round.
        killed: actors.
    """

    scripts: list[Script]
    alive: list[Node]
    given: list[list[tuple[int, ...]]]
    error: Exception | None = None
    ends_when_left: bool = True
    crews: list[Crew] = field(default_factory=list)
    killed: list[object] = field(default_factory=list)

    def open(self, *_: object) -> Any:
        journal = Journal()
        names = ("add", "take", "stop", "begin", "begin_round", "dismiss", "join", "refuse")
        methods = {name: SimpleNamespace(remote=getattr(journal, name)) for name in names}
        return SimpleNamespace(journal=journal, **methods)

    def stream(
        self, ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any, number: int
    ) -> Any:
        self.given.append([chunk.indexes for chunk in chunks])
        self.crews.append(crew)
        handle.journal.join(number, f"worker of round {number}")
        script = self.scripts[min(len(self.given), len(self.scripts)) - 1]
        over = script(handle.journal, chunks)
        return SimpleNamespace(wait=lambda s: over, leave=lambda s: over or self.ends_when_left, error=self.error)


def done(task: Task) -> Outcome:
    return Outcome(source=task.source.path, target=task.target, status=Status.DONE)


def do(journal: Journal, chunk: Chunk, worker: str = "w", node: str = "first") -> None:
    """A chunk from beginning to end."""
    journal.begin(chunk.number, worker, node)
    over(journal, chunk)


def over(journal: Journal, chunk: Chunk) -> None:
    """The end of a chunk that was begun."""
    for index, task in zip(chunk.indexes, chunk.tasks, strict=True):
        journal.add([PictureOver(index=index, outcome=done(task))])
    journal.add([ChunkEnded(chunk=chunk.number)])


def all_done(journal: Journal, chunks: Sequence[Chunk]) -> bool:
    for chunk in chunks:
        do(journal, chunk)
    return True


def nothing_begun(journal: Journal, chunks: Sequence[Chunk]) -> bool:
    return True


def fake_cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A cluster that does everything, unless told otherwise."""
    cluster = FakeCluster(scripts=[all_done], alive=[FIRST, SECOND], given=[])
    monkeypatch.setattr(line, "open_journal", cluster.open)
    monkeypatch.setattr(rounds, "Stream", cluster.stream)
    monkeypatch.setattr(rounds, "alive_nodes", lambda ray: cluster.alive)
    monkeypatch.setattr(rounds, "PATIENCE_S", 0.0)
    monkeypatch.setattr(rounds, "POLL_S", 0.0)
    return cluster


def go(
    tasks: Sequence[Task],
    report: Callable[[Event], None] = lambda event: None,
    kill: Callable[[object], None] = lambda actor: None,
) -> ClusterSummary:
    ray = SimpleNamespace(get=lambda value, timeout: value, kill=kill)
    facts = facts_of(Choice(engine=NearestNeighbour()), None)
    options = WorkerOptions(cluster=ClusterOptions(), wanted=Wanted(), threads=1, mark=MARK, expected=facts)
    return run_on_cluster(ray, Plan(tasks=tuple(tasks)), CREW, options, report)


def reasons(summary: ClusterSummary) -> set[str | None]:
    return {outcome.reason for outcome in summary.outcomes if outcome.status is not Status.DONE}
