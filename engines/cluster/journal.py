"""What workers have begun and finished, kept beside the driver, where it outlives them.

Ray Data gives back what a task returns, once it returns. Whoever looks after a million
pictures must know more: what to show meanwhile, which pictures of a chunk are done
though its worker died, and whether a chunk was begun at all, or only waited behind one
that killed the worker.
"""

from __future__ import annotations

from typing import Any

from engines.cluster.notes import Begun, Note


class Journal:
    """An actor that takes notes and hands them on. One call at a time."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._begun: set[int] = set()
        self._stopped = False

    def begin(self, chunk: int, node: str) -> bool:
        """Whether a worker may do a chunk: not when the end was asked for, and not when it was begun before.

        A chunk whose worker died is for the driver to give out again, by another number, not for Ray.
        """
        if self._stopped or chunk in self._begun:
            return False
        self._begun.add(chunk)
        self._notes.append(Begun(chunk=chunk, node=node))
        return True

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
