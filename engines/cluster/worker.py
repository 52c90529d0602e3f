"""One engine in a process of its own, on whatever node; Ray Data gives it chunks."""

from __future__ import annotations

import time
from typing import Any

from efdn.errors import EngineError
from efdn.files import mark_parts
from engines.batch.failures import explain
from engines.batch.targets import Plan
from engines.batch.work import Concurrency, Event, Finished, Progress, Started
from engines.cluster.chunks import Chunk, unpacked
from engines.cluster.facts import difference, facts_of, open_as_asked
from engines.cluster.notes import Begins, Ended, GoesOn, Note, Over
from engines.cluster.options import WorkerOptions
from engines.inference.run import run_files
from engines.protocol import Engine

PROGRESS_EVERY_S = 0.5
REFUSAL_S = 2.0
"""For which a worker that has no engine sits on a chunk: others are to get the next ones."""

CHUNK, NUMBER = "chunk", "number"
"""Columns of what comes in and what goes out."""


class Worker:
    """Holds one engine, which the first chunk opens.

    Args:
        options: of the run.
        journal: the actor that takes notes.
    """

    def __init__(self, options: WorkerOptions, journal: Any) -> None:
        import ray

        self._options, self._journal = options, journal
        self._node = ray.get_runtime_context().get_node_id()
        self._engine: Engine | None = None
        mark_parts(options.mark)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Does the chunks of a block, which is one; the answer holds nothing that the journal has not."""
        for content in batch[CHUNK]:
            self._do(unpacked(bytes(content)))
        return {NUMBER: [0]}

    def _do(self, chunk: Chunk) -> None:
        import ray

        if not ray.get(self._journal.begin.remote(chunk.number, self._node)):
            return
        problem = None
        try:
            engine = self._opened()
        except Exception as error:
            problem = f"no engine on node {self._node[:8]}: {explain(error).reason}"
            time.sleep(REFUSAL_S)
        else:
            jobs = Concurrency(jobs=self._options.cluster.jobs)
            run_files(Plan(tasks=chunk.tasks), engine, self._options.wanted, jobs, Reporter(chunk, self._journal))
        # Once this is answered, so is all before it.
        ray.get(self._journal.add.remote([Ended(chunk=chunk.number, problem=problem)]))

    def _opened(self) -> Engine:
        if self._engine is None:
            choice = open_as_asked(self._options.cluster, self._options.threads)
            differs = difference(self._options.expected, facts_of(choice, self._options.cluster.model))
            if differs is not None:
                choice.engine.close()
                raise EngineError(f"{differs}: install the same on every node")
            self._engine = choice.engine
        return self._engine


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
            self._tell(Over(index=self._indexes[event.outcome.source], outcome=event.outcome))
            return
        index = self._indexes[event.task.source.path]
        if isinstance(event, Started):
            self._tell(Begins(index=index))
        elif isinstance(event, Progress) and time.monotonic() - self._told >= PROGRESS_EVERY_S:
            self._tell(GoesOn(index=index, share=event.share, detail=event.detail))
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
