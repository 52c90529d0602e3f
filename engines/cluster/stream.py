"""One round of chunks through Ray Data, in a thread of its own."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from engines.cluster.chunks import Chunk
from engines.cluster.options import WorkerOptions
from engines.cluster.survey import Crew
from engines.cluster.worker import CHUNK, Worker

WAITING_PER_WORKER = 2
"""Chunks that a worker has, the one at work among them: it need not wait for the next."""


class Stream:
    """Chunks on their way to workers. Begins at once.

    Args:
        ray: the module, connected.
        chunks: of this round.
        crew: the workers.
        options: of each.
        journal: the actor that takes their notes.
        number: of the round.

    Attributes:
        error: why the round ended before its time; None if it did not.
    """

    def __init__(
        self, ray: Any, chunks: Sequence[Chunk], crew: Crew, options: WorkerOptions, journal: Any, number: int
    ) -> None:
        self.error: Exception | None = None
        self._ray, self._crew, self._arguments = ray, crew, (options, journal, number)
        self._rows = [{CHUNK: chunk.packed()} for chunk in chunks]
        self._leaving = threading.Event()
        self._over = threading.Event()
        # A daemon: where Ray hangs, the command ends nevertheless.
        self._thread = threading.Thread(target=self._run, name="efdn-cluster", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Whether the round is over, waiting for it a little."""
        return self._over.wait(timeout_s)

    def leave(self, timeout_s: float) -> bool:
        """Ends the round after what is at work; see `wait`."""
        self._leaving.set()
        return self._over.wait(timeout_s)

    def _run(self) -> None:
        try:
            # An answer for each chunk: nothing more is taken of them, so that little is in memory.
            for _ in self._dataset().iter_batches(batch_size=None, prefetch_batches=0):
                if self._leaving.is_set():
                    break
        except Exception as error:
            self.error = error
        finally:
            # Workers end when nothing refers to them; cycles do, and their cores are wanted for the next round.
            gc.collect()
            self._over.set()

    def _dataset(self) -> Any:
        data = self._ray.data
        context = data.DataContext.get_current()
        # Chunks that are lost are given out again by the driver, which knows what of them is done.
        context.max_errored_blocks = -1
        context.wait_for_min_actors_s = -1
        crew = self._crew
        workers = min(crew.workers, len(self._rows))
        strategy = data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=WAITING_PER_WORKER)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chunks = data.from_items(self._rows, override_num_blocks=len(self._rows))
            return chunks.map_batches(
                Worker,
                batch_size=None,
                batch_format="numpy",
                fn_constructor_args=self._arguments,
                compute=strategy,
                num_cpus=crew.cores,
                num_gpus=crew.gpus or None,
                # A worker starts anew where there is room; what it had is not waited for, as there may be none.
                max_restarts=-1,
                max_task_retries=0,
                ray_remote_args_fn=Places(crew) if crew.bound else None,
            )


class Places:
    """Tells Ray Data where each next worker is to start: elsewhere only if that node is dead.

    Args:
        crew: the workers.
    """

    def __init__(self, crew: Crew) -> None:
        self._nodes = crew.places
        self._given = 0

    def __call__(self) -> dict[str, Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        node = self._nodes[self._given % len(self._nodes)]
        self._given += 1
        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.node_id, soft=True)}
