"""A plan through the workers of a cluster: rounds, until each task has its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from efdn.errors import EfdnError
from efdn.files import remove_parts
from engines.batch.interruption import Interruption, interruption
from engines.batch.ledger import DISK_FULL, STOPPED
from engines.batch.outcome import Outcome, Status
from engines.batch.targets import Plan
from engines.batch.task import Task
from engines.batch.work import Event, Finished, Progress, Report, Started
from engines.cluster.chunks import Chunk, absolute
from engines.cluster.journal import open_journal
from engines.cluster.notes import Begins, Begun, Ended, GoesOn, Note, Over
from engines.cluster.options import WorkerOptions
from engines.cluster.rota import Rota
from engines.cluster.stream import Stream
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, crew_of, survey

POLL_S = 0.2
ANSWER_S = 30.0
"""For the journal, which does nothing but answer, to do so."""

PATIENCE_S = 30.0
"""For what is at work to end in good order when the end was asked for."""

LOST_S = 10.0
"""Without a word from workers, all of which are on nodes that are dead, after which a round is over."""

SILENT_S = 120.0
"""Without a word, and with nothing at work, after which a round is given up and another tried."""

VAIN_ROUNDS = 3
"""In a row in which nothing is begun, after which the rest is left."""


def run_on_cluster(ray: Any, plan: Plan, crew: Crew, options: WorkerOptions, report: Report) -> ClusterSummary:
    """Does what was planned, on a cluster.

    Args:
        ray: the module, connected.
        plan: as `plan_files` made it.
        crew: workers that there is room for now.
        options: of each worker.
        report: takes what happens, in this thread; what it raises ends the run.

    Returns:
        An outcome for every file, none missing, also after Ctrl-C, and whatever died meanwhile.
    """
    began = perf_counter()
    for outcome in plan.outcomes:
        report(Finished(outcome=outcome))
    run = _Run(ray, plan.tasks, crew, options, report)
    try:
        with interruption() as wish:
            run.work(wish)
    finally:
        run.close()
    return ClusterSummary(
        outcomes=(*plan.outcomes, *run.rota.outcomes()),
        seconds=perf_counter() - began,
        interrupted=wish.asked,
        workers=crew.workers,
        nodes=len(crew.nodes),
        rounds=run.rounds,
    )


class _Run:
    """The rounds of a run, and what is told of them."""

    def __init__(self, ray: Any, tasks: Sequence[Task], crew: Crew, options: WorkerOptions, report: Report) -> None:
        self.rota = Rota(tasks)
        self.rounds = 0
        self._ray, self._tasks, self._crew, self._options, self._report = ray, tasks, crew, options, report
        self._journal = open_journal(ray)
        self._heard = time.monotonic()
        self._stop_for: str | None = None
        self._lost = False

    def work(self, wish: Interruption) -> None:
        """Goes on until each task has an outcome."""
        vain, reason = 0, STOPPED
        try:
            while self.rota.left and not wish.asked and self._stop_for is None:
                error = self._round(wish)
                vain = 0 if self.rota.begun else vain + 1
                if vain == VAIN_ROUNDS:
                    reason = _vain(error)
                    break
                self._crew = self._crew_now()
        except _LostError as lost:
            reason, self._lost = str(lost), True
        self._tell(self.rota.cancel_rest(self._stop_for or reason))

    def close(self) -> None:
        """Removes what dead workers have left behind."""
        if not self._lost:
            with suppress(Exception):
                self._ray.kill(self._journal)
        for folder in {absolute(task.target).parent for task in self._tasks}:
            remove_parts(folder, self._options.mark)

    def _round(self, wish: Interruption) -> Exception | None:
        """One pass over the tasks that are left, or the first of them."""
        self.rounds += 1
        self._heard = time.monotonic()
        chunks: Sequence[Chunk] = self.rota.next_round(self._crew.workers)
        stream = Stream(self._ray, chunks, self._crew, self._options, self._journal)
        try:
            while not stream.wait(POLL_S):
                self._listen()
                if wish.asked or self._stop_for is not None:
                    self._stop(stream)
                    break
                if self._is_stuck():
                    stream.leave(POLL_S)
                    break
            self._listen()
        finally:
            if not stream.leave(0):
                self._end_workers(stream)
        self._tell(self.rota.round_over())
        return stream.error

    def _stop(self, stream: Stream) -> None:
        """Lets workers end in good order, for a while."""
        self._call(lambda: self._journal.stop.remote())
        until = time.monotonic() + PATIENCE_S
        while self.rota.under_way and time.monotonic() < until and not stream.wait(POLL_S):
            self._listen()

    def _end_workers(self, stream: Stream) -> None:
        """The round is left: chunks that are not begun come back at once, with which Ray Data ends the workers."""
        self._call(lambda: self._journal.stop.remote())
        stream.leave(PATIENCE_S)
        self._ray.kill(self._journal)
        self._journal = open_journal(self._ray)

    def _listen(self) -> None:
        """Takes the workers' notes."""
        notes: list[Note] = self._call(lambda: self._journal.take.remote())
        if notes:
            self._heard = time.monotonic()
        for note in notes:
            self._take(note)

    def _take(self, note: Note) -> None:
        if isinstance(note, Over):
            outcome = self.rota.note_over(note)
            if outcome is not None and outcome.reason == DISK_FULL and outcome.status is Status.CANCELLED:
                self._stop_for = DISK_FULL
            self._tell([] if outcome is None else [outcome])
        elif isinstance(note, Begins):
            self._report(Started(task=self._tasks[note.index], index=note.index, count=len(self._tasks)))
        elif isinstance(note, GoesOn):
            event: Event = Progress(
                task=self._tasks[note.index], index=note.index, share=note.share, detail=note.detail
            )
            self._report(event)
        elif isinstance(note, Begun):
            self.rota.note_begun(note)
        elif isinstance(note, Ended):
            self._tell(self.rota.note_ended(note))

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._report(Finished(outcome=outcome))

    def _is_stuck(self) -> bool:
        """Whether nothing will come of this round any more."""
        silent_s = time.monotonic() - self._heard
        if silent_s < LOST_S:
            return False
        if not self.rota.under_way:
            return silent_s > SILENT_S
        alive = {node.number for node in survey(self._ray)}
        return not alive & set(self.rota.under_way.values())

    def _crew_now(self) -> Crew:
        """Workers that there is room for after a round: nodes come and go."""
        try:
            crew = crew_of(survey(self._ray), self._crew.cores, on_gpus=bool(self._crew.gpus))
        except EfdnError as error:
            raise _LostError(f"the nodes that worked are gone: {error}") from error
        if not crew.workers:
            raise _LostError("the nodes that worked are gone: start others")
        return crew

    def _call(self, call: Callable[[], Any]) -> Any:
        """An answer of the journal, which is on this node: without it, the cluster is gone."""
        try:
            return self._ray.get(call(), timeout=ANSWER_S)
        except Exception as error:
            raise _LostError(f"lost the cluster ({type(error).__name__}): see whether its head is alive") from error


class _LostError(Exception):
    """The cluster, or all that worked in it, is gone."""


def _vain(error: Exception | None) -> str:
    why = "no worker began anything" if error is None else " ".join(str(error).split())[-300:]
    return f"the cluster took no work {VAIN_ROUNDS} times: {why}"
