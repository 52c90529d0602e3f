"""One engine in a process of its own, on whatever node; Ray Data gives it chunks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from efdn.errors import EngineError
from efdn.files import mark_parts
from engines.batch.failures import explain
from engines.batch.targets import Plan
from engines.batch.work import Concurrency, Event, Finished, Progress, Started
from engines.cluster.chunks import Chunk, unpacked
from engines.cluster.facts import difference, facts_of, open_as_asked
from engines.cluster.journal import Turn
from engines.cluster.notes import ChunkEnded, Heartbeat, Note, PictureBegun, PictureOver, PictureProgress
from engines.cluster.options import WorkerOptions
from engines.inference.run import run_files
from engines.protocol import Engine

PROGRESS_EVERY_S = 0.5
HEARTBEAT_EVERY_S = 20.0
"""While a chunk is at work: to open an engine, or one tile, may take minutes."""

KEEP_S = 1.0
"""Between looks at whether the round is over, of a worker that has no engine."""

CHUNK, NUMBER = "chunk", "number"
"""Columns of what comes in and what goes out."""


class Worker:
    """Holds one engine, which the first chunk opens.

    Args:
        options: of the run.
        journal: the actor that takes notes.
        number: of the round.
    """

    def __init__(self, options: WorkerOptions, journal: Any, number: int) -> None:
        import ray

        self._options, self._journal = options, journal
        here = ray.get_runtime_context()
        self._node, self._actor = here.get_node_id(), here.get_actor_id()
        self._engine: Engine | None = None
        mark_parts(options.mark)
        ray.get(journal.join.remote(number, here.current_actor))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Does the chunks of a block, which is one; the answer holds nothing that the journal has not."""
        for content in batch[CHUNK]:
            self._do(unpacked(bytes(content)))
        return {NUMBER: [0]}

    def _do(self, chunk: Chunk) -> None:
        import ray

        turn = ray.get(self._journal.begin.remote(chunk.number, self._actor, self._node))
        if turn is Turn.KEEP:
            self._keep()
        if turn is not Turn.DO:
            return
        with heartbeat(self._journal):
            try:
                engine = self._opened()
            except Exception as error:
                problem = f"no engine on node {self._node[:8]}: {explain(error).reason}"
            else:
                jobs = Concurrency(jobs=self._options.cluster.jobs)
                run_files(Plan(tasks=chunk.tasks), engine, self._options.wanted, jobs, Reporter(chunk, self._journal))
                # Once this is answered, so is all before it.
                ray.get(self._journal.add.remote([ChunkEnded(chunk=chunk.number)]))
                return
        ray.get(self._journal.refuse.remote(chunk.number, self._node, problem))
        self._keep()

    def _keep(self) -> None:
        """Sits on a chunk until the round is over: given back, others would follow that are better done elsewhere."""
        import ray

        while not ray.get(self._journal.add.remote([])):
            time.sleep(KEEP_S)

    def _opened(self) -> Engine:
        if self._engine is None:
            choice = open_as_asked(self._options.cluster, self._options.threads)
            differs = difference(self._options.expected, facts_of(choice, self._options.cluster.model))
            if differs is not None:
                choice.engine.close()
                raise EngineError(f"{differs}: install the same on every node")
            self._engine = choice.engine
        return self._engine


@contextmanager
def heartbeat(journal: Any) -> Iterator[None]:
    """Tells the driver now and then that this process is there, while the body runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_EVERY_S):
            journal.add.remote([Heartbeat()])

    threading.Thread(target=beat, name="efdn-heartbeat", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class Reporter:
    """Passes on what happens in a chunk, and ends it when the end was asked for.

    Args:
        chunk: at work.
        journal: the actor that takes notes.
    """

    def __init__(self, chunk: Chunk, journal: Any) -> None:
        self._journal = journal
        self._indexes = {task.source.path: index for index, task in zip(chunk.indexes, chunk.tasks, strict=True)}
        self._answers: list[Any] = []
        self._stopping = False
        self._told = 0.0

    def __call__(self, event: Event) -> None:
        """Takes an event.

        Raises:
            KeyboardInterrupt: the end was asked for; once, and not on an outcome, which would be lost.
        """
        if isinstance(event, Finished):
            self._tell(PictureOver(index=self._indexes[event.outcome.source], outcome=event.outcome))
            return
        index = self._indexes[event.task.source.path]
        if isinstance(event, Started):
            self._tell(PictureBegun(index=index))
        elif isinstance(event, Progress) and time.monotonic() - self._told >= PROGRESS_EVERY_S:
            self._tell(PictureProgress(index=index, share=event.share, detail=event.detail))
        self._check()

    def _tell(self, note: Note) -> None:
        self._told = time.monotonic()
        self._answers.append(self._journal.add.remote([note]))

    def _check(self) -> None:
        import ray

        if not self._answers:
            return
        there, self._answers = ray.wait(self._answers, num_returns=len(self._answers), timeout=0)
        if any(ray.get(there)) and not self._stopping:
            self._stopping = True
            raise KeyboardInterrupt
