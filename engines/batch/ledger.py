"""Outcomes as they come in from all threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from engines.batch.failures import explain
from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.task import Task
from engines.batch.work import Result

STOPPED = "interrupted"
DISK_FULL = "the disk is full"
FULL_DISK_FAILURES = 3
"""In a row, after which the rest is left: one picture too large for the disk says nothing of smaller ones."""


@dataclass(kw_only=True)
class Ticket:
    """One picture on its way through the stages; each stage writes its own time.

    Attributes:
        index: its place among the tasks.
        task: the picture.
        read_s: seconds of reading.
        infer_s: of the network.
        write_s: of writing.
    """

    index: int
    task: Task
    read_s: float = 0.0
    infer_s: float = 0.0
    write_s: float = 0.0

    @property
    def stages(self) -> Stages:
        """What was spent so far."""
        return Stages(read_s=self.read_s, infer_s=self.infer_s, write_s=self.write_s)


class Ledger:
    """Keeps one outcome for each task. Safe from any thread.

    Args:
        tasks: all of them.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._outcomes: list[Outcome | None] = [None] * len(tasks)
        self._untold: list[Outcome] = []
        self._full_in_a_row = 0
        self._lock = Lock()

    @property
    def disk_full(self) -> bool:
        """Whether there is no sense in going on."""
        return self._full_in_a_row >= FULL_DISK_FAILURES

    def done(self, ticket: Ticket, result: Result) -> None:
        """Notes a picture that is written."""
        outcome = Outcome(
            source=ticket.task.source.path,
            target=ticket.task.target,
            status=Status.DONE,
            stages=ticket.stages,
            width=result.width,
            height=result.height,
            warnings=tuple(result.warnings),
            extra=dict(result.extra),
        )
        with self._lock:
            self._full_in_a_row = 0
            self._add(ticket.index, outcome)

    def failed(self, ticket: Ticket, error: BaseException) -> None:
        """Notes a picture that came to nothing."""
        why = explain(error)
        outcome = Outcome(
            source=ticket.task.source.path,
            target=ticket.task.target,
            status=Status.FAILED,
            reason=why.reason,
            stages=ticket.stages,
            traceback=why.traceback,
        )
        with self._lock:
            self._full_in_a_row = self._full_in_a_row + 1 if why.disk_full else 0
            self._add(ticket.index, outcome)

    def cancelled(self, ticket: Ticket) -> None:
        """Notes a picture that was given up when the end was asked for."""
        with self._lock:
            self._add(ticket.index, self._left(ticket.task, STOPPED, ticket.stages))

    def cancel_rest(self) -> None:
        """Notes all pictures that there is no outcome of."""
        with self._lock:
            reason = DISK_FULL if self.disk_full else STOPPED
            for index, task in enumerate(self._tasks):
                if self._outcomes[index] is None:
                    self._add(index, self._left(task, reason, Stages()))

    def untold(self) -> list[Outcome]:
        """Outcomes since the last call."""
        with self._lock:
            told, self._untold = self._untold, []
            return told

    def outcomes(self) -> tuple[Outcome, ...]:
        """Those that there are, in the order of tasks."""
        with self._lock:
            return tuple(outcome for outcome in self._outcomes if outcome is not None)

    def _add(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        self._untold.append(outcome)

    @staticmethod
    def _left(task: Task, reason: str, stages: Stages) -> Outcome:
        return Outcome(
            source=task.source.path, target=task.target, status=Status.CANCELLED, reason=reason, stages=stages
        )
