"""Rounds of a run on a cluster, with streams that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.batch.ledger import DISK_FULL
from engines.batch.outcome import Outcome, Status
from engines.batch.targets import Plan
from engines.batch.task import Task
from engines.batch.work import Event, Finished
from engines.cluster import run as rounds
from engines.cluster.chunks import Chunk
from engines.cluster.facts import facts_of
from engines.cluster.journal import Journal
from engines.cluster.notes import Begun, Ended, Over
from engines.cluster.options import ClusterOptions, WorkerOptions
from engines.cluster.run import run_on_cluster
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, Node
from engines.inference.wanted import Wanted
from engines.select import Choice
from tests.batch_samples import tasks_in, touch
from tests.fake_engine import NearestNeighbour

MARK = "feed"
FIRST, SECOND = (Node(number=name, address=name, cores=1, gpus=0) for name in ("first", "second"))
CREW = Crew(workers=2, cores=1, gpus=0, nodes=(FIRST, SECOND))

Script = Callable[[Journal, Sequence[Chunk]], bool]
"""What a round does: tells the journal, and says whether it comes to an end."""


@dataclass
class FakeCluster:
    """Does one script a round, and the last one again and again.

    Attributes:
        scripts: of the rounds.
        alive: nodes that there are.
        given: chunks of each round, as indexes of tasks.
    """

    scripts: list[Script]
    alive: list[Node]
    given: list[list[tuple[int, ...]]]
    error: Exception | None = None

    def open(self, *_: object) -> Any:
        journal = Journal()
        methods = {name: SimpleNamespace(remote=getattr(journal, name)) for name in ("add", "take", "stop", "begin")}
        return SimpleNamespace(journal=journal, **methods)

    def stream(self, ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any) -> Any:
        self.given.append([chunk.indexes for chunk in chunks])
        script = self.scripts[min(len(self.given), len(self.scripts)) - 1]
        over = script(handle.journal, chunks)
        return SimpleNamespace(wait=lambda s: over, leave=lambda s: True, error=self.error)


def done(task: Task) -> Outcome:
    return Outcome(source=task.source.path, target=task.target, status=Status.DONE)


def do(journal: Journal, chunk: Chunk, node: str = "first") -> None:
    """A chunk from beginning to end."""
    journal.begin(chunk.number, node)
    journal.add([Over(index=index, outcome=done(task)) for index, task in zip(chunk.indexes, chunk.tasks, strict=True)])
    journal.add([Ended(chunk=chunk.number)])


def all_done(journal: Journal, chunks: Sequence[Chunk]) -> bool:
    for chunk in chunks:
        do(journal, chunk)
    return True


def nothing_begun(journal: Journal, chunks: Sequence[Chunk]) -> bool:
    return True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A cluster that does everything, unless told otherwise."""
    cluster = FakeCluster(scripts=[all_done], alive=[FIRST, SECOND], given=[])
    monkeypatch.setattr(rounds, "open_journal", cluster.open)
    monkeypatch.setattr(rounds, "Stream", cluster.stream)
    monkeypatch.setattr(rounds, "survey", lambda ray: cluster.alive)
    return cluster


def go(tasks: Sequence[Task], report: Callable[[Event], None] = lambda event: None) -> ClusterSummary:
    ray = SimpleNamespace(get=lambda value, timeout: value, kill=lambda actor: None)
    facts = facts_of(Choice(engine=NearestNeighbour()), None)
    options = WorkerOptions(cluster=ClusterOptions(), wanted=Wanted(), threads=1, mark=MARK, expected=facts)
    return run_on_cluster(ray, Plan(tasks=tuple(tasks)), CREW, options, report)


def reasons(summary: ClusterSummary) -> set[str | None]:
    return {outcome.reason for outcome in summary.outcomes if outcome.status is not Status.DONE}


def test_one_round_is_enough_where_nothing_dies(fake: FakeCluster, tmp_path: Path) -> None:
    events: list[Event] = []
    summary = go(tasks_in(tmp_path, 20), events.append)
    assert (summary.exit_code, summary.rounds, summary.count(Status.DONE)) == (0, 1, 20)
    assert len([event for event in events if isinstance(event, Finished)]) == 20


def test_a_round_that_hangs_on_a_dead_node_is_left(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        do(journal, chunks[0])
        journal.begin(chunks[1].number, "second")
        fake.alive = [FIRST]
        return False

    monkeypatch.setattr(rounds, "LOST_S", 0.0)
    fake.scripts = [hangs, all_done]
    summary = go(tasks_in(tmp_path, 20))
    assert (summary.exit_code, summary.rounds, summary.count(Status.DONE)) == (0, 2, 20)
    assert not set(fake.given[0][0]) & {index for chunk in fake.given[1] for index in chunk}
    assert {(index,) for index in fake.given[0][1]} <= set(fake.given[1])


def test_a_round_is_not_left_while_a_worker_is_at_work_on_a_node_that_lives(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def works(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        journal.begin(chunks[0].number, "first")
        return False

    def stream(ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any) -> Any:
        works(handle.journal, chunks)

        def wait(timeout_s: float) -> bool:
            waits.append(timeout_s)
            return len(waits) > 5 and all_done(handle.journal, chunks)

        return SimpleNamespace(wait=wait, leave=lambda s: True, error=None)

    monkeypatch.setattr(rounds, "LOST_S", 0.0)
    monkeypatch.setattr(rounds, "Stream", stream)
    assert go(tasks_in(tmp_path, 1)).rounds == 1
    assert len(waits) == 6


def test_a_cluster_that_takes_no_work_is_given_up(fake: FakeCluster, tmp_path: Path) -> None:
    fake.scripts, fake.error = [nothing_begun], RuntimeError("no\n way")
    summary = go(tasks_in(tmp_path, 5))
    assert (summary.exit_code, summary.rounds) == (1, 3)
    assert reasons(summary) == {"the cluster took no work 3 times: no way"}
    assert {outcome.status for outcome in summary.outcomes} == {Status.CANCELLED}


def test_without_a_node_that_fits_the_rest_is_left(fake: FakeCluster, tmp_path: Path) -> None:
    def dies(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        do(journal, chunks[0])
        fake.alive = [Node(number="head", address="head", cores=0, gpus=0)]
        return True

    fake.scripts = [dies]
    summary = go(tasks_in(tmp_path, 20))
    assert summary.count(Status.DONE) == len(fake.given[0][0])
    assert len(summary.outcomes) == 20
    (reason,) = reasons(summary)
    assert "the nodes that worked are gone" in str(reason)


def test_a_full_disk_ends_the_run(fake: FakeCluster, tmp_path: Path) -> None:
    def fills(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        chunk = chunks[0]
        journal.begin(chunk.number, "first")
        outcome = done(chunk.tasks[0])
        left = Outcome(source=outcome.source, target=outcome.target, status=Status.CANCELLED, reason=DISK_FULL)
        journal.add([Over(index=chunk.indexes[0], outcome=left), Ended(chunk=chunk.number)])
        return False

    fake.scripts = [fills]
    summary = go(tasks_in(tmp_path, 20))
    assert (summary.exit_code, summary.rounds, reasons(summary)) == (1, 1, {DISK_FULL})


def test_a_cluster_that_is_lost_leaves_the_rest(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        raise RuntimeError("nothing left")

    handle = fake.open()
    handle.take = SimpleNamespace(remote=lambda: breaks(handle.journal, ()))
    monkeypatch.setattr(rounds, "open_journal", lambda ray: handle)
    summary = go(tasks_in(tmp_path, 3))
    assert reasons(summary) == {"lost the cluster (RuntimeError): see whether its head is alive"}


def test_what_dead_workers_left_is_removed_and_nothing_else(fake: FakeCluster, tmp_path: Path) -> None:
    ours, others = tmp_path / "out" / f".efdn-{MARK}0123.part", tmp_path / "out" / ".efdn-beef0123.part"
    touch(ours, others)

    def fail(event: Event) -> None:
        raise OSError("nobody listens")

    with pytest.raises(OSError, match="nobody listens"):
        go(tasks_in(tmp_path, 3), fail)
    assert not ours.exists()
    assert others.exists()


def test_notes_of_chunks_that_nobody_knows_change_nothing(fake: FakeCluster, tmp_path: Path) -> None:
    def strange(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        journal.add([Begun(chunk=99, node="first"), Ended(chunk=98, problem="odd")])
        return all_done(journal, chunks)

    fake.scripts = [strange]
    summary = go(tasks_in(tmp_path, 3))
    assert (summary.exit_code, summary.count(Status.DONE)) == (0, 3)
