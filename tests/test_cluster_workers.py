"""Workers with and without an engine, in threads: who does what."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from efdn.errors import EngineError
from engines.batch.outcome import Outcome, Status
from engines.batch.targets import Plan
from engines.batch.work import Finished, Report
from engines.cluster import line, worker
from engines.cluster import run as rounds
from engines.cluster.chunks import Chunk
from engines.cluster.facts import facts_of
from engines.cluster.journal import Journal
from engines.cluster.notes import Heartbeat
from engines.cluster.options import ClusterOptions, WorkerOptions
from engines.cluster.survey import Crew, Node
from engines.cluster.worker import CHUNK, Worker, heartbeat
from engines.inference.wanted import Wanted
from engines.select import Choice
from tests.batch_samples import tasks_in
from tests.fake_engine import NearestNeighbour

NODES = tuple(Node(node_id=name, address=name, cores=1, gpus=0) for name in ("bad", "good"))
WAITING = 2
"""Chunks that a worker holds, as Ray Data gives them."""


class Threads:
    """Stands for the module `ray`: each thread is a node with one worker, and calls of actors are calls."""

    def __init__(self) -> None:
        self.here = threading.local()
        self.lock = threading.Lock()
        self.given: list[int] = []

    def get(self, value: Any, timeout: float = 0) -> Any:
        return value

    def wait(self, answers: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        return answers, []

    def kill(self, actor: object) -> None:
        pass

    def get_runtime_context(self) -> Any:
        name = self.here.node
        return SimpleNamespace(get_node_id=lambda: name, get_actor_id=lambda: name, current_actor=name)

    def guarded(self, act: Callable[..., Any]) -> Any:
        def remote(*given: Any) -> Any:
            with self.lock:
                return act(*given)

        return SimpleNamespace(remote=remote)

    def open_journal(self, _: object) -> Any:
        journal = Journal()
        names = [name for name in vars(Journal) if not name.startswith("_")]
        return SimpleNamespace(**{name: self.guarded(getattr(journal, name)) for name in names})


class ThreadStream:
    """Gives chunks to workers as Ray Data does: to whoever has fewer than two."""

    def __init__(
        self, ray: Threads, chunks: Sequence[Chunk], crew: Crew, options: Any, journal: Any, number: int
    ) -> None:
        self.error = None
        ray.given.append(sum(len(chunk.tasks) for chunk in chunks))
        self._chunks: queue.Queue[Chunk] = queue.Queue()
        for chunk in chunks:
            self._chunks.put(chunk)
        self._threads = [
            threading.Thread(target=self._work, args=(ray, node, options, journal, number), daemon=True)
            for node in crew.nodes
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, ray: Threads, node: Node, options: Any, journal: Any, number: int) -> None:
        ray.here.node = node.node_id
        here = Worker(options, journal, number)
        held: list[Chunk] = []
        while True:
            while len(held) < WAITING and not self._chunks.empty():
                held.append(self._chunks.get_nowait())
            if not held:
                return
            here({CHUNK: [held.pop(0).packed()]})

    def wait(self, timeout_s: float) -> bool:
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    leave = wait


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Nodes that are threads, the one named "bad" without an engine."""
    ray = Threads()

    def opened(*_: object) -> Choice:
        if ray.here.node == "bad":
            raise EngineError("no room on the GPU")
        return Choice(engine=NearestNeighbour())

    def run_files(plan: Plan, engine: object, wanted: object, jobs: object, report: Report) -> None:
        threading.Event().wait(0.005 * len(plan.tasks))
        for task in plan.tasks:
            outcome = Outcome(source=task.source.path, target=task.target, status=Status.DONE)
            report(Finished(outcome=replace(outcome, extra={"node": ray.here.node})))

    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(worker, "open_as_asked", opened)
    monkeypatch.setattr(worker, "run_files", run_files)
    monkeypatch.setattr(worker, "KEEP_S", 0.01)
    monkeypatch.setattr(line, "open_journal", ray.open_journal)
    monkeypatch.setattr(rounds, "Stream", ThreadStream)
    monkeypatch.setattr(rounds, "alive_nodes", lambda ray: list(NODES))
    monkeypatch.setattr(rounds, "POLL_S", 0.02)
    monkeypatch.setattr(rounds, "REFUSED_S", 0.3)
    return ray


def go(ray: Threads, folder: Path, count: int, nodes: Sequence[Node] = NODES) -> Any:
    facts = facts_of(Choice(engine=NearestNeighbour()), None)
    options = WorkerOptions(cluster=ClusterOptions(), wanted=Wanted(), threads=1, mark="feed", expected=facts)
    crew = Crew(workers=len(nodes), cores=1, gpus=0, nodes=tuple(nodes))
    plan = Plan(tasks=tuple(tasks_in(folder, count)))
    return rounds.run_on_cluster(ray, plan, crew, options, lambda event: None)


def test_a_worker_without_an_engine_leaves_the_work_to_one_that_has_one(threads: Threads, tmp_path: Path) -> None:
    summary = go(threads, tmp_path, 400)
    assert (summary.exit_code, summary.count(Status.DONE)) == (0, 400)
    # All that is left for the second round are the chunks that the worker without an engine sits on.
    assert threads.given == [400, 8 * WAITING]
    assert {outcome.extra["node"] for outcome in summary.outcomes} == {"good"}


def test_without_any_engine_nothing_fails_but_all_is_left(
    threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "alive_nodes", lambda ray: [NODES[0]])
    summary = go(threads, tmp_path, 20, NODES[:1])
    assert summary.count(Status.CANCELLED) == 20
    reason = "the cluster took no work 3 times: no engine on node bad: no room on the GPU"
    assert {outcome.reason for outcome in summary.outcomes} == {reason}


def test_a_worker_tells_that_it_is_there_while_it_is_at_work(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT_EVERY_S", 0.01)
    notes: queue.Queue[Any] = queue.Queue()
    journal = SimpleNamespace(add=SimpleNamespace(remote=notes.put))
    with heartbeat(journal):
        assert notes.get(timeout=5) == [Heartbeat()]
