"""Which task is whose turn, and what it means that a worker died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engines.batch.outcome import Outcome, Status
from engines.batch.task import Task
from engines.cluster.chunks import Chunk, anywhere, divided, pictures_per_chunk
from engines.cluster.notes import ChunkBegun, ChunkEnded, NodeRefused, PictureOver
from engines.cluster.renaming import as_named

MOST_DEATHS = 3
"""Of workers on one task. The first may be its neighbour's fault; for the others it is alone."""

CHUNKS_AT_ONCE, CHUNKS_PER_WORKER_AT_ONCE = 2000, 200
"""Of a round: what waits takes memory in the driver, and each round's end leaves some workers idle for a chunk."""


class Rota:
    """Keeps account of tasks: each gets one outcome, whatever becomes of workers.

    Args:
        tasks: all of them.

    Attributes:
        under_way: nodes of chunks that are begun and not ended, by number.
        refusing: nodes whose workers have no engine, each with its reason.
        refusals: of workers, in this round.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.under_way: dict[int, str] = {}
        self.refusing: dict[str, str] = {}
        self.refusals = 0
        self._tasks = tasks
        self._outcomes: list[Outcome | None] = [None] * len(tasks)
        self._left = dict.fromkeys(range(len(tasks)))
        self._deaths: Counter[int] = Counter()
        self._chunks: dict[int, Chunk] = {}
        self._latest: dict[str, int] = {}
        self._lost: list[int] = []
        self._begun = 0
        self._numbers = 0

    @property
    def left(self) -> int:
        """Tasks without an outcome."""
        return len(self._left)

    @property
    def got_on(self) -> bool:
        """Whether a worker with an engine has begun a chunk of this round."""
        return self._begun > self.refusals

    def next_round(self, workers: int) -> list[Chunk]:
        """Chunks for a round: of tasks that killed a worker, or may have, each by itself and last."""
        most = max(CHUNKS_AT_ONCE, CHUNKS_PER_WORKER_AT_ONCE * workers)
        usual = [index for index in self._left if not self._deaths[index]]
        portions = divided(usual, self._tasks, pictures_per_chunk(len(usual), workers))
        portions += [(index,) for index in self._left if self._deaths[index]]
        self._begun = self.refusals = 0
        self._chunks, self._latest = {}, {}
        for portion in portions[:most]:
            tasks = tuple(anywhere(self._tasks[index]) for index in portion)
            self._chunks[self._numbers] = Chunk(number=self._numbers, indexes=portion, tasks=tasks)
            self._numbers += 1
        return list(self._chunks.values())

    def note_begun(self, note: ChunkBegun) -> None:
        """A worker has taken a chunk. Where it has not ended the one before, it died of that and was started anew."""
        before = self._latest.get(note.worker)
        if before is not None and self.under_way.pop(before, None) is not None:
            self._lost.append(before)
        self._latest[note.worker] = note.chunk
        self.under_way[note.chunk] = note.node
        self._begun += 1

    def note_over(self, note: PictureOver) -> Outcome | None:
        """The outcome, with the names as planned; None if the task has one already."""
        return self._close(note.index, as_named(note.outcome, self._tasks[note.index]))

    def note_ended(self, note: ChunkEnded) -> None:
        """A worker is through with a chunk."""
        node = self.under_way.pop(note.chunk, None)
        if node is not None:
            self.refusing.pop(node, None)

    def note_refused(self, note: NodeRefused) -> None:
        """A worker has no engine: nobody's fault but its node's."""
        self.under_way.pop(note.chunk, None)
        self.refusing[note.node] = note.problem
        self.refusals += 1

    def round_over(self) -> list[Outcome]:
        """Counts the dead: workers of chunks that were begun and did not end.

        Returns:
            Outcomes of tasks that too many died of.
        """
        outcomes = []
        for number in (*self._lost, *self.under_way):
            chunk = self._chunks.get(number)
            for index in () if chunk is None else chunk.indexes:
                if index in self._left:
                    outcomes += self._died(index)
        self.under_way.clear()
        self._lost.clear()
        return outcomes

    def cancel_rest(self, reason: str) -> list[Outcome]:
        """Outcomes of all tasks that have none."""
        outcomes = [self._close(index, self._ended(index, Status.CANCELLED, reason)) for index in list(self._left)]
        return [outcome for outcome in outcomes if outcome is not None]

    def outcomes(self) -> tuple[Outcome, ...]:
        """Those that there are, in the order of tasks."""
        return tuple(outcome for outcome in self._outcomes if outcome is not None)

    def _died(self, index: int) -> list[Outcome]:
        self._deaths[index] += 1
        if self._deaths[index] < MOST_DEATHS:
            return []
        reason = (
            f"its worker died {MOST_DEATHS} times, the last ones of it alone: for want of memory, or of a fault in a "
            "library; upscale it without --ray to see which"
        )
        outcome = self._close(index, self._ended(index, Status.FAILED, reason))
        return [] if outcome is None else [outcome]

    def _close(self, index: int, outcome: Outcome) -> Outcome | None:
        if index not in self._left:
            return None
        del self._left[index]
        self._outcomes[index] = outcome
        return outcome

    def _ended(self, index: int, status: Status, reason: str) -> Outcome:
        task = self._tasks[index]
        return Outcome(source=task.source.path, target=task.target, status=status, reason=reason)
