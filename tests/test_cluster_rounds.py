"""Rounds of a run on a cluster, with streams that do as they are told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.batch.ledger import STOPPED
from engines.batch.outcome import Status
from engines.batch.work import Event, Finished
from engines.cluster import run as rounds
from engines.cluster.chunks import Chunk
from engines.cluster.journal import Journal
from engines.cluster.notes import ChunkBegun, ChunkEnded, Heartbeat, PictureOver
from engines.cluster.survey import Crew
from tests.batch_samples import tasks_in
from tests.cluster_fakes import CREW, FIRST, FakeCluster, all_done, do, done, fake_cluster, go


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A cluster that does everything, unless told otherwise."""
    return fake_cluster(monkeypatch)


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


def test_where_all_is_done_nobody_asks_for_nodes(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(rounds, "alive_nodes", asked.append)
    assert go(tasks_in(tmp_path, 3)).exit_code == 0
    assert asked == []


def test_notes_of_chunks_that_nobody_knows_change_nothing(fake: FakeCluster, tmp_path: Path) -> None:
    def strange(journal: Journal, chunks: Sequence[Chunk]) -> bool:
        journal.add([ChunkBegun(chunk=99, worker="w", node="first"), ChunkEnded(chunk=98), Heartbeat()])
        return all_done(journal, chunks)

    fake.scripts = [strange]
    summary = go(tasks_in(tmp_path, 3))
    assert (summary.exit_code, summary.count(Status.DONE)) == (0, 3)
