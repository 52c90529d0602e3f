"""Runs on a cluster that takes no work, breaks or is ended: what is left, and what is said of it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.batch.ledger import DISK_FULL
from engines.batch.outcome import Outcome, Status
from engines.batch.work import Event
from engines.cluster import line
from engines.cluster import run as rounds
from engines.cluster.chunks import Chunk
from engines.cluster.journal import Journal
from engines.cluster.notes import ChunkEnded, PictureOver
from engines.cluster.survey import Crew, Node
from tests.batch_samples import tasks_in, touch
from tests.cluster_fakes import CHUNK, MARK, FakeCluster, do, done, fake_cluster, go, nothing_begun, over, reasons


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A cluster that does everything, unless told otherwise."""
    return fake_cluster(monkeypatch)


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
