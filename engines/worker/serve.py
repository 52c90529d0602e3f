"""The worker's side: reads requests from stdin, one JSON object a line, and answers each on stdout.

`python -m engines.worker` is started by `engines.worker.client`. It needs NumPy,
Pillow and what its engine needs, and ends when stdin does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from efdn.errors import EfdnError, UsageError
from engines.protocol import Engine, StagedEngine
from engines.select import choose_engine
from engines.whole import Pixels, check_shape
from engines.worker.memory import clear_peak, peak_resident_bytes, resident_bytes
from engines.worker.picture import sample_pictures
from engines.worker.sampling import as_input, run_sample
from engines.worker.subject import Memory, Opened, Sample, Subject


class Server:
    """Answers requests; one engine and one job at a time."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._pictures: Pixels | None = None
        self._result: Pixels | None = None
        self._resident_before: int | None = None
        self._device_used: int | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Does what a request asks for.

        Raises:
            EfdnError: it cannot be done; the worker may be asked for something else.
        """
        commands: dict[str, Callable[..., dict[str, Any]]] = {
            "open": self._open,
            "prepare": self._prepare,
            "run": self._run,
            "output": self._output,
            "floats": self._floats,
            "layers": self._layers,
            "memory": self._memory,
            "close": self._close,
        }
        arguments = dict(request)
        name = arguments.pop("command", None)
        if name not in commands:
            raise UsageError(f"no worker command {name!r}: expected {', '.join(commands)}")
        return commands[name](**arguments)

    def _open(self, subject: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        asked = Subject.from_json(subject)
        choice = choose_engine(asked.model, asked.engine, asked.options)
        self._close()
        engine = self._engine = choice.engine
        return asdict(
            Opened(
                engine=engine.name,
                detail=engine.detail,
                model=engine.model.name,
                scale=engine.model.scale,
                io="uint8" if engine.inputs[0].picture else "float32",
                shapes=tuple(map(str, engine.shapes)),
                largest_batch=engine.inputs[0].dims[0].maximum,
                staged=isinstance(engine, StagedEngine),
                passed_over=choice.passed_over,
                open_ms=(time.perf_counter() - started) * 1e3,
            )
        )

    def _prepare(self, shape: list[int], batch: int) -> dict[str, Any]:
        """Sets the pictures and runs them once, which is when engines compile for a shape."""
        engine = self._open_engine()
        pictures = sample_pictures((shape[0], shape[1]), batch)
        check_shape(engine, as_input(engine, pictures))
        if self._resident_before is None:
            self._resident_before = resident_bytes()
            clear_peak()  # What opening took for a while is no growth of the run.
        sample, self._result = run_sample(engine, pictures)
        self._pictures = pictures
        self._look_at_device()
        return {"first": asdict(sample), "detail": engine.detail}

    def _run(self, seconds: float, at_least: int, at_most: int) -> dict[str, Any]:
        """Runs for some time, or some number of times, whichever ends later or is the limit."""
        engine, pictures = self._open_engine(), self._prepared()
        samples: list[Sample] = []
        started = time.perf_counter()
        while len(samples) < at_most and (len(samples) < at_least or time.perf_counter() - started < seconds):
            self._result = None  # Given back first, as a loop over frames would.
            sample, self._result = run_sample(engine, pictures)
            samples.append(sample)
        self._look_at_device()
        return {"samples": [asdict(sample) for sample in samples], "detail": engine.detail}

    def _output(self, path: str) -> dict[str, Any]:
        """Writes the last result, (N, H, W, 3) uint8, as a NumPy file."""
        self._prepared()
        assert self._result is not None
        np.save(Path(path), self._result)
        return {"shape": list(self._result.shape)}

    def _floats(self, path: str) -> dict[str, Any]:
        """Runs once more and writes (N, 3, H, W) floats in 0..255, not rounded; only of engines that give floats."""
        engine, pictures = self._open_engine(), self._prepared()
        if engine.outputs[0].picture:
            raise UsageError(f"{engine.model.name} gives bytes, not floats: take one exported with --io float32")
        (output,) = engine.infer({engine.inputs[0].name: as_input(engine, pictures)}).values()
        np.save(Path(path), output.astype(np.float32) * np.float32(255 / engine.model.data_range))
        return {"shape": list(output.shape)}

    def _layers(self, runs: int) -> dict[str, Any]:
        engine, pictures = self._open_engine(), self._prepared()
        feeds = {engine.inputs[0].name: as_input(engine, pictures)}
        return {"layers": [asdict(layer) for layer in engine.layer_times(feeds, runs)]}

    def _memory(self) -> dict[str, Any]:
        total = self._engine.device_memory().total if isinstance(self._engine, StagedEngine) else None
        return asdict(
            Memory(
                host_peak=peak_resident_bytes(),
                host_before=self._resident_before,
                device_used=self._device_used,
                device_total=total,
            )
        )

    def _close(self) -> dict[str, Any]:
        self._pictures = self._result = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        return {}

    def _look_at_device(self) -> None:
        if isinstance(self._engine, StagedEngine):
            memory = self._engine.device_memory()
            self._device_used = max(self._device_used or 0, memory.total - memory.free)

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise UsageError("no engine is open: ask the worker to open one first")
        return self._engine

    def _prepared(self) -> Pixels:
        if self._pictures is None:
            raise UsageError("nothing is prepared: ask the worker to prepare pictures first")
        return self._pictures


def serve() -> None:
    """Answers until stdin ends."""
    # Libraries that print must not get in between: stdout is theirs no longer, and goes where errors go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(file=answers)  # Ends the line that a start-up file of this Python may have begun.
    server = Server()
    for line in sys.stdin:
        try:
            reply = server.answer(json.loads(line))
        except EfdnError as error:
            reply = {"error": str(error), "kind": type(error).__name__}
        except MemoryError:
            reply = {"error": "out of memory: try a smaller picture", "kind": "MemoryError"}
        print(json.dumps(reply), file=answers, flush=True)
    server.answer({"command": "close"})
