"""One subject of a profile: its worker, and what was found so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from efdn.errors import EfdnError, EngineError, WorkerError
from engines.nvidia_smi import GpuState, query_gpus
from engines.profiling.comparison import Difference
from engines.profiling.plan import Planned
from engines.profiling.result import Lane, Start
from engines.protocol import LayerTime
from engines.registry import ENGINES
from engines.select import AUTO
from engines.whole import Pixels
from engines.worker.client import Worker
from engines.worker.subject import Job, Memory, Opened, Sample

CACHES = ("EFDN_CACHE", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH")
"""Where engines, PyTorch's compiler and the CUDA driver keep what they compiled."""

ON_GPU = {entry.name for entry in ENGINES if entry.extra == "gpu"}

GPU_LOAD_S = 0.5
"""How long the GPU has been at work when it is asked for its clocks."""

Starter = Callable[["Path | None", Mapping[str, str]], Worker]
"""Takes an interpreter, this one if None, and further variables of environment."""


class Runner:
    """Runs one subject. What goes wrong in it ends it and nothing else.

    Args:
        planned: what to run.
        job: on what.
        folder: an empty one for caches and results; it must exist.
        start_worker: starts a process.
    """

    def __init__(self, planned: Planned, job: Job, folder: Path, start_worker: Starter) -> None:
        self.planned, self._job, self._folder, self._start_worker = planned, job, folder, start_worker
        self._worker: Worker | None = None
        self._opened: Opened | None = None
        self._error: str | None = None
        self._cold: Start | None = None
        self._warm: Start | None = None
        self._rounds: list[tuple[Sample, ...]] = []
        self._memory: Memory | None = None
        self._gpu: GpuState | None = None
        self._layers: tuple[LayerTime, ...] = ()
        self.difference: Difference | None = None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._worker is not None

    def start_timed(self) -> None:
        """Starts with an empty cache, ends, and starts again with what that left there; the second process stays."""
        caches = {name: str(self._folder / name.lower()) for name in CACHES}
        with self._guarded():
            self._cold = self._start(caches)
            self.close()
            self._warm = self._start(caches)

    def start(self) -> None:
        """Starts once, with the user's own caches."""
        with self._guarded():
            self._start({})

    def warm_up(self, seconds: float) -> None:
        """Runs without counting."""
        with self._guarded():
            self._running.run(seconds=seconds)

    def run_slice(self, seconds: float) -> None:
        """Runs for some time, at least once, and keeps the samples as a round."""
        with self._guarded():
            self._rounds.append(tuple(self._running.run(seconds=seconds)))
            if self._opened is not None and self._running.detail is not None:
                self._opened = replace(self._opened, detail=self._running.detail)

    def output(self) -> Pixels | None:
        """The last result, (N, H, W, 3) uint8; None where there is none any more."""
        path = self._folder / "output.npy"
        with self._guarded():
            self._running.write_output(path)
            result: Pixels = np.load(path)
            return result
        return None

    def look_around(self, layers_s: float | None) -> None:
        """Asks for memory, then for the GPU's clocks under load, and if so wished for times of layers.

        Args:
            layers_s: about how long to measure layers; None to leave them out.
        """
        with self._guarded():
            worker = self._running
            self._memory = worker.memory()
            if self._opened is not None and (self._opened.staged or self._opened.engine in ON_GPU):
                self._gpu = _gpu_under_load(worker)
            if layers_s is not None:
                slowest = max((sample.infer for samples in self._rounds for sample in samples), default=0.0)
                runs = max(1, min(50, int(layers_s * 1e3 / slowest))) if slowest else 1
                self._layers = tuple(LayerTime(**layer) for layer in worker.layers(runs))

    def lane(self) -> Lane:
        """What was found."""
        return Lane(
            name=self._name,
            subject=self.planned.subject,
            opened=self._opened,
            error=self._error,
            cold=self._cold,
            warm=self._warm,
            rounds=tuple(self._rounds),
            memory=self._memory,
            gpu=self._gpu,
            difference=self.difference,
            layers=self._layers,
        )

    def close(self) -> None:
        """Ends the process. May be called twice."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.close()

    def kill(self) -> None:
        """Ends the process at once."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.kill()

    def _start(self, environment: Mapping[str, str]) -> Start:
        worker = self._worker = self._start_worker(self.planned.python, environment)
        opened = self._opened = worker.open(self.planned.subject)
        if opened.largest_batch is not None and self._job.batch > opened.largest_batch:
            raise EngineError(f"{opened.model} takes {opened.largest_batch} at once, asked for {self._job.batch}")
        first = worker.prepare(self._job)
        total = (time.perf_counter() - worker.started) * 1e3
        return Start(total_ms=total, open_ms=opened.open_ms, first_ms=first.end_to_end)

    @property
    def _name(self) -> str:
        """The planned one, with the engine that "auto" came to."""
        name = self.planned.name
        if self._opened is None or self.planned.subject.engine != AUTO or not name.startswith(AUTO):
            return name
        return self._opened.engine + name.removeprefix(AUTO)

    @property
    def _running(self) -> Worker:
        if self._worker is None:
            raise WorkerError(f"{self.planned.name} is not running")
        return self._worker

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turns an error into the end of this subject."""
        try:
            yield
        except EfdnError as error:
            self._error = str(error)
            self.kill()
        except BaseException:
            self.kill()
            raise


def _gpu_under_load(worker: Worker) -> GpuState | None:
    """The GPU that draws most power while a worker runs on it; None where there is nothing to ask.

    Not asked while samples are taken: the question itself takes the driver's time.
    """
    states: list[GpuState] = []

    def look() -> None:
        time.sleep(GPU_LOAD_S)
        states.extend(query_gpus())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    while watcher.is_alive():
        worker.run(seconds=GPU_LOAD_S / 2)
    return max(states, key=lambda state: state.power_w or 0.0, default=None)
