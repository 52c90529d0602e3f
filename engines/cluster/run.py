"""A plan through the workers of a cluster: rounds, until each task has its outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from efdn.errors import EfdnError
from efdn.files import remove_parts
from engines.batch.interruption import Interruption, interruption
from engines.batch.ledger import DISK_FULL, STOPPED
from engines.batch.outcome import Status
from engines.batch.targets import Plan
from engines.batch.task import Task
from engines.batch.work import Event, Finished, Progress, Report, Started
from engines.cluster.chunks import absolute
from engines.cluster.line import Line, LostError, safely
from engines.cluster.notes import (
    ChunkBegun,
    ChunkEnded,
    NodeRefused,
    Note,
    PictureBegun,
    PictureOver,
    PictureProgress,
)
from engines.cluster.options import WorkerOptions
from engines.cluster.rota import Rota
from engines.cluster.stream import Stream
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, alive_nodes, crew_of

POLL_S = 0.2

PATIENCE_S = 30.0
"""For what is at work to end in good order when the end was asked for."""

REFUSED_S = 5.0
"""Without a word, and with nothing at work but workers without an engine, after which a round is over."""

LOST_S = 10.0
"""Without a word from workers, all of which are on nodes that are dead, after which a round is over."""

SILENT_S = 120.0
"""Without a word, not so much as a heartbeat, after which a round is given up and another tried."""

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
        self._line = Line(ray)
        self._heard = time.monotonic()
        self._stop_for: str | None = None

    def work(self, wish: Interruption) -> None:
        """Goes on until each task has an outcome."""
        vain, reason = 0, STOPPED
        try:
            while self.rota.left and not wish.asked and self._stop_for is None:
                error = self._round(wish)
                vain = 0 if self.rota.got_on else vain + 1
                if vain == VAIN_ROUNDS:
                    reason = _vain(error, self.rota.refusing)
                    break
                if self.rota.left:
                    self._crew = self._crew_now()
        except LostError as lost:
            reason = str(lost)
        for outcome in self.rota.cancel_rest(self._stop_for or reason):
            self._tell(Finished(outcome=outcome))

    def close(self) -> None:
        """Removes what dead workers have left behind."""
        self._line.close()
        for folder in {absolute(task.target).parent for task in self._tasks}:
            remove_parts(folder, self._options.mark)

    def _round(self, wish: Interruption) -> Exception | None:
        """One pass over the tasks that are left, or the first of them."""
        self.rounds += 1
        self._line.begin_round(self.rounds)
        self._heard = time.monotonic()
        chunks = self.rota.next_round(self._crew.workers)
        stream = Stream(self._ray, chunks, self._crew, self._options, self._line.journal, self.rounds)
        try:
            while not stream.wait(POLL_S):
                self._listen()
                if wish.asked or self._stop_for is not None:
                    self._stop(stream)
                    break
                if self._is_stuck():
                    break
        finally:
            self._end(stream)
        for outcome in self.rota.round_over():
            self._tell(Finished(outcome=outcome))
        return stream.error

    def _stop(self, stream: Stream) -> None:
        """Lets workers end in good order, for a while."""
        self._line.stop()
        self._listen()  # Or what was begun just now would not be waited for.
        until = time.monotonic() + PATIENCE_S
        while self.rota.under_way and time.monotonic() < until and not stream.wait(POLL_S):
            self._listen()

    def _end(self, stream: Stream) -> None:
        """Ends what still goes on in a round, hears it out, and ends its workers."""
        left = not stream.leave(0)
        try:
            if left:
                # Chunks that are not begun come back at once, with which Ray Data ends by itself, if it does not hang.
                self._line.stop()
                until = time.monotonic() + PATIENCE_S
                while not stream.leave(POLL_S) and time.monotonic() < until:
                    self._listen()
            self._listen()
        finally:
            self._line.dismiss()
            if left:
                self._line.end()

    def _listen(self) -> None:
        """Takes the workers' notes."""
        notes = self._line.take()
        if notes:
            self._heard = time.monotonic()
        for note in notes:
            self._take(note)

    def _take(self, note: Note) -> None:
        if isinstance(note, PictureOver):
            self._take_outcome(note)
        elif isinstance(note, PictureBegun):
            self._tell(Started(task=self._tasks[note.index], index=note.index, count=len(self._tasks)))
        elif isinstance(note, PictureProgress):
            task = self._tasks[note.index]
            self._tell(Progress(task=task, index=note.index, share=note.share, detail=note.detail))
        elif isinstance(note, ChunkBegun):
            self.rota.note_begun(note)
        elif isinstance(note, ChunkEnded):
            self.rota.note_ended(note)
        elif isinstance(note, NodeRefused):
            self.rota.note_refused(note)

    def _take_outcome(self, note: PictureOver) -> None:
        cancelled = note.outcome.status is Status.CANCELLED
        if cancelled and note.outcome.reason == STOPPED:
            return  # Workers do not know why they were stopped: it is for the next round, or left for the true reason.
        outcome = self.rota.note_over(note)
        if outcome is None:
            return
        if cancelled and outcome.reason == DISK_FULL:
            self._stop_for = DISK_FULL
        self._tell(Finished(outcome=outcome))

    def _tell(self, event: Event) -> None:
        """Who cannot be told once is not told again: what follows is only to end in good order."""
        try:
            self._report(event)
        except BaseException:
            self._report = _nobody
            raise

    def _is_stuck(self) -> bool:
        """Whether nothing will come of this round any more."""
        silent_s = time.monotonic() - self._heard
        if silent_s >= SILENT_S:
            return True
        if not self.rota.under_way:
            return self.rota.refusals > 0 and silent_s >= REFUSED_S
        if silent_s < LOST_S:
            return False
        alive = {node.node_id for node in safely(lambda: alive_nodes(self._ray))}
        return not alive & set(self.rota.under_way.values())

    def _crew_now(self) -> Crew:
        """Workers that there is room for after a round: nodes come and go, and some have no engine."""
        nodes = safely(lambda: alive_nodes(self._ray))
        willing = [node for node in nodes if node.node_id not in self.rota.refusing]
        cores, on_gpus = self._crew.cores, bool(self._crew.gpus)
        if len(willing) < len(nodes):
            try:
                return replace(crew_of(willing, cores, on_gpus=on_gpus), bound=True)
            except EfdnError:
                pass  # All are asked once more.
        try:
            return crew_of(nodes, cores, on_gpus=on_gpus)
        except EfdnError as error:
            raise LostError(f"the nodes that worked are gone: {error}") from error


def _nobody(event: Event) -> None:
    """Takes events that nobody wants."""


def _vain(error: Exception | None, refusing: dict[str, str]) -> str:
    why = "no worker began anything" if error is None else " ".join(str(error).split())[-300:]
    return f"the cluster took no work {VAIN_ROUNDS} times: {next(iter(refusing.values()), why)}"
