"""Rounds of a run on a cluster, with streams that do as they are told."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.batch.ledger import DISK_FULL, STOPPED
from engines.batch.outcome import Outcome, Status
from engines.batch.targets import Plan
from engines.batch.task import Task
from engines.batch.work import Event, Finished
from engines.cluster import line
from engines.cluster import run as rounds
from engines.cluster.chunks import Chunk
from engines.cluster.facts import facts_of
from engines.cluster.journal import Journal
from engines.cluster.notes import ChunkBegun, ChunkEnded, Heartbeat, PictureOver
from engines.cluster.options import ClusterOptions, WorkerOptions
from engines.cluster.run import run_on_cluster
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, Node
from engines.inference.wanted import Wanted
from engines.select import Choice
from tests.batch_samples import tasks_in, touch
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


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
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
        journal.begin(chunks[1].number, "v", "second")
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
        journal.begin(chunks[0].number, "w", "first")
        return False

    def stream(ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any, number: int) -> Any:
        works(handle.journal, chunks)

        def wait(timeout_s: float) -> bool:
            waits.append(timeout_s)
            return len(waits) > 5 and all_done(handle.journal, chunks)

        return SimpleNamespace(wait=wait, leave=lambda s: True, error=None)

    monkeypatch.setattr(rounds, "LOST_S", 0.0)
    monkeypatch.setattr(rounds, "Stream", stream)
    assert go(tasks_in(tmp_path, 1)).rounds == 1
    assert len(waits) == 6


def test_a_worker_that_died_without_a_trace_does_not_hold_a_round_for_ever(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        journal.begin(chunks[0].number, "w", "first")
        journal.begin(chunks[1].number, "v", "second")
        fake.alive = [FIRST]
        return False

    monkeypatch.setattr(rounds, "SILENT_S", 0.05)
    fake.scripts = [hangs, all_done]
    summary = go(tasks_in(tmp_path, 20))
    assert (summary.exit_code, summary.rounds, summary.count(Status.DONE)) == (0, 2, 20)


def test_a_heartbeat_keeps_a_round_alive(fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()

    def stream(ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any, number: int) -> Any:
        handle.journal.begin(chunks[0].number, "w", "first")

        def wait(timeout_s: float) -> bool:
            handle.journal.add([Heartbeat()])
            time.sleep(0.01)
            return time.monotonic() > began + 0.6 and all_done(handle.journal, chunks)

        return SimpleNamespace(wait=wait, leave=lambda s: True, error=None)

    monkeypatch.setattr(rounds, "SILENT_S", 0.3)
    monkeypatch.setattr(rounds, "Stream", stream)
    assert go(tasks_in(tmp_path, 1)).rounds == 1


def test_workers_are_ended_with_their_round_also_where_it_hangs(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        do(journal, chunks[0])
        return False

    monkeypatch.setattr(rounds, "SILENT_S", 0.0)
    fake.scripts, fake.ends_when_left = [hangs, all_done], False
    summary = go(tasks_in(tmp_path, 20), kill=fake.killed.append)
    assert (summary.exit_code, summary.rounds) == (0, 2)
    # With the first round its journal too, and the last journal at the end.
    assert [actor for actor in fake.killed if isinstance(actor, str)] == ["worker of round 1", "worker of round 2"]
    assert len(fake.killed) == 4


def test_nodes_without_an_engine_are_passed_over_in_the_next_round(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        journal.begin(chunks[0].number, "v", "second")
        journal.refuse(chunks[0].number, "second", "no engine on node second")
        do(journal, chunks[1])
        return False

    monkeypatch.setattr(rounds, "REFUSED_S", 0.0)
    fake.scripts = [refuses, all_done]
    summary = go(tasks_in(tmp_path, 20))
    assert (summary.exit_code, summary.rounds) == (0, 2)
    assert fake.crews[1] == replace(CREW, workers=1, nodes=(FIRST,), bound=True)


def test_where_no_worker_has_an_engine_the_rest_is_left_with_the_reason(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        for chunk, node in zip(chunks, ("first", "second"), strict=False):
            journal.begin(chunk.number, node, node)
            journal.refuse(chunk.number, node, "no engine on node")
        return False

    monkeypatch.setattr(rounds, "REFUSED_S", 0.0)
    fake.scripts = [refuses]
    summary = go(tasks_in(tmp_path, 20))
    assert (summary.exit_code, summary.rounds) == (1, 3)
    assert {outcome.status for outcome in summary.outcomes} == {Status.CANCELLED}
    assert reasons(summary) == {"the cluster took no work 3 times: no engine on node"}


def test_what_is_begun_as_the_end_is_asked_for_is_waited_for(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk begins after the last look at the journal, and ends long after it was stopped."""

    def stream(ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any, number: int) -> Any:
        waits = []

        def stop() -> None:
            handle.journal.begin(chunks[0].number, "w", "first")
            handle.journal.stop()

        def wait(timeout_s: float) -> bool:
            waits.append(timeout_s)
            if len(waits) == 4:
                over(handle.journal, chunks[0])
            return False

        handle.stop = SimpleNamespace(remote=stop)
        signal.raise_signal(signal.SIGINT)
        return SimpleNamespace(wait=wait, leave=lambda s: len(waits) >= 4, error=None)

    monkeypatch.setattr(rounds, "PATIENCE_S", 5.0)
    monkeypatch.setattr(rounds, "Stream", stream)
    summary = go(tasks_in(tmp_path, 20))
    assert summary.exit_code == 130
    assert summary.count(Status.DONE) == CHUNK
    assert reasons(summary) == {"interrupted"}


def test_what_ends_while_a_round_is_left_is_heard(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(ray: object, chunks: Sequence[Chunk], crew: Crew, options: object, handle: Any, number: int) -> Any:
        handle.journal.begin(chunks[0].number, "w", "first")
        signal.raise_signal(signal.SIGINT)

        def leave(timeout_s: float) -> bool:
            if timeout_s:
                over(handle.journal, chunks[0])
            return False

        return SimpleNamespace(wait=lambda s: False, leave=leave, error=None)

    monkeypatch.setattr(rounds, "POLL_S", 0.01)
    monkeypatch.setattr(rounds, "Stream", stream)
    summary = go(tasks_in(tmp_path, 20))
    assert summary.count(Status.DONE) == CHUNK


def test_what_workers_give_up_as_they_are_stopped_is_not_the_last_word(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gives_up(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        chunk = chunks[0]
        journal.begin(chunk.number, "w", "first")
        for index, task in zip(chunk.indexes, chunk.tasks, strict=True):
            left = replace(done(task), status=Status.CANCELLED, reason=STOPPED)
            journal.add([PictureOver(index=index, outcome=left)])
        journal.add([ChunkEnded(chunk=chunk.number)])
        return True

    fake.scripts = [gives_up, all_done]
    summary = go(tasks_in(tmp_path, 20))
    assert (summary.exit_code, summary.rounds, summary.count(Status.DONE)) == (0, 2, 20)


def test_a_cluster_that_takes_no_work_is_given_up(fake: FakeCluster, tmp_path: Path) -> None:
    fake.scripts, fake.error = [nothing_begun], RuntimeError("no\n way")
    summary = go(tasks_in(tmp_path, 5))
    assert (summary.exit_code, summary.rounds) == (1, 3)
    assert reasons(summary) == {"the cluster took no work 3 times: no way"}
    assert {outcome.status for outcome in summary.outcomes} == {Status.CANCELLED}


def test_without_a_node_that_fits_the_rest_is_left(fake: FakeCluster, tmp_path: Path) -> None:
    def dies(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        do(journal, chunks[0])
        fake.alive = [Node(node_id="head", address="head", cores=0, gpus=0)]
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
        journal.begin(chunk.number, "w", "first")
        outcome = done(chunk.tasks[0])
        left = Outcome(source=outcome.source, target=outcome.target, status=Status.CANCELLED, reason=DISK_FULL)
        journal.add([PictureOver(index=chunk.indexes[0], outcome=left), ChunkEnded(chunk=chunk.number)])
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
    monkeypatch.setattr(line, "open_journal", lambda ray: handle)
    summary = go(tasks_in(tmp_path, 3))
    assert reasons(summary) == {"lost the cluster (RuntimeError): see whether its head is alive"}


@pytest.mark.parametrize("what", ["open", "nodes", "kill"])
def test_whatever_ray_raises_the_rest_is_left_and_the_summary_told(
    what: str, fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> Any:
        raise RuntimeError("nothing left")

    def half(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        do(journal, chunks[0])
        return True

    fake.scripts = [half]
    if what == "open":
        monkeypatch.setattr(line, "open_journal", breaks)
    if what == "nodes":
        monkeypatch.setattr(rounds, "alive_nodes", breaks)
    summary = go(tasks_in(tmp_path, 20), kill=breaks if what == "kill" else fake.killed.append)
    assert summary.count(Status.DONE) == (0 if what == "open" else CHUNK)
    assert reasons(summary) == {"lost the cluster (RuntimeError): see whether its head is alive"}


def test_where_all_is_done_nobody_asks_for_nodes(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(rounds, "alive_nodes", asked.append)
    assert go(tasks_in(tmp_path, 3)).exit_code == 0
    assert asked == []


def test_what_dead_workers_left_is_removed_and_nothing_else(fake: FakeCluster, tmp_path: Path) -> None:
    ours, others = tmp_path / "out" / f".efdn-{MARK}0123.part", tmp_path / "out" / ".efdn-beef0123.part"
    touch(ours, others)

    def fail(event: Event) -> None:
        raise OSError("nobody listens")

    with pytest.raises(OSError, match="nobody listens"):
        go(tasks_in(tmp_path, 3), fail, fake.killed.append)
    assert "worker of round 1" in fake.killed
    assert not ours.exists()
    assert others.exists()


def test_notes_of_chunks_that_nobody_knows_change_nothing(fake: FakeCluster, tmp_path: Path) -> None:
    def strange(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        journal.add([ChunkBegun(chunk=99, worker="w", node="first"), ChunkEnded(chunk=98), Heartbeat()])
        return all_done(journal, chunks)

    fake.scripts = [strange]
    summary = go(tasks_in(tmp_path, 3))
    assert (summary.exit_code, summary.count(Status.DONE)) == (0, 3)
