"""What workers have begun and finished, kept beside the driver, where it outlives them.

Ray Data gives back what a task returns, once it returns. Whoever looks after a million
pictures must know more: what to show meanwhile, which pictures of a chunk are done
though its worker died, and whether a chunk was begun at all, or only waited behind one
that killed the worker.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from engines.cluster.notes import ChunkBegun, NodeRefused, Note


class Turn(str, Enum):
    """What a worker is to do with a chunk."""

    DO = "do"
    LEAVE = "leave"
    KEEP = "keep"
    """Neither do it nor ask for more: others are to get the next ones."""


class Journal:
    """An actor that takes notes and hands them on. One call at a time."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._begun: set[int] = set()
        self._stopped = False
        self._round = 0
        self._refusing: set[str] = set()
        self._workers: list[Any] = []

    def begin_round(self, number: int) -> None:
        """Begins anew with nodes that had no engine: perhaps they have one now."""
        self._round = number
        self._refusing.clear()

    def join(self, number: int, worker: Any) -> None:
        """Takes the handle of an actor, which is to be ended with its round; not of one that comes too late for it."""
        if number == self._round:
            self._workers.append(worker)

    def dismiss(self) -> list[Any]:
        """Handles of the round's actors, for the last time."""
        self._round = 0
        workers, self._workers = self._workers, []
        return workers

    def begin(self, chunk: int, worker: str, node: str) -> Turn:
        """Whether a worker is to do a chunk: not when the end was asked for, and not when it was begun before.

        A chunk whose worker died is for the driver to give out again, by another number, not for Ray.
        """
        if self._stopped or chunk in self._begun:
            return Turn.LEAVE
        if node in self._refusing:
            return Turn.KEEP
        self._begun.add(chunk)
        self._notes.append(ChunkBegun(chunk=chunk, worker=worker, node=node))
        return Turn.DO

    def refuse(self, chunk: int, node: str, problem: str) -> None:
        """Notes a node that has no engine: nothing is begun there in this round any more."""
        self._refusing.add(node)
        self._notes.append(NodeRefused(chunk=chunk, node=node, problem=problem))

    def add(self, notes: list[Note]) -> bool:
        """Adds notes.

        Returns:
            Whether the end was asked for.
        """
        self._notes += notes
        return self._stopped

    def take(self) -> list[Note]:
        """Notes since the last call."""
        taken, self._notes = self._notes, []
        return taken

    def stop(self) -> None:
        """Asks for the end: nothing is begun, and what is begun is given up in good order."""
        self._stopped = True


def open_journal(ray: Any) -> Any:
    """Starts the actor on this node, which takes no core.

    Args:
        ray: the module, connected.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, max_restarts=0, scheduling_strategy=here)(Journal)
    return actor.remote()
