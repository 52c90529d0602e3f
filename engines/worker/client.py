"""The asking side of a worker process."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from efdn.errors import EngineError, WorkerError
from engines.worker.subject import Job, Memory, Opened, Sample, Subject

ROOT = Path(__file__).parents[2]
"""Where `engines` and `efdn` lie: another Python than this one finds them there."""

START_SECONDS, ASK_SECONDS = 180.0, 600.0
END_SECONDS = 10.0

SERVE = "import sys; sys.path[:] = filter(None, sys.path); from engines.worker.serve import serve; serve()"
"""Not `-m`: that would look for modules in the working folder first, whatever lies there under a name like ours."""


def source_environment(further: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables for another process, this one's and further ones, so that its Python finds `efdn` and `engines`."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **(further or {})}


class Worker:
    """A process with one engine. A context manager; leaving it ends the process.

    Args:
        python: interpreter to run, this one if None.
        environment: variables for it, beside those of this process.
        limit_s: seconds after which a request that is not answered ends the process.

    Attributes:
        started: when, by `time.perf_counter`.
        detail: what the engine said of itself after its last runs: some things it learns only then.

    Raises:
        WorkerError: the interpreter does not start.
    """

    def __init__(
        self,
        python: Path | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        limit_s: float = ASK_SECONDS,
    ) -> None:
        self.started = time.perf_counter()
        self.detail: str | None = None
        self._limit_s = limit_s
        try:
            self._process = subprocess.Popen(
                [str(python or sys.executable), "-c", SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=source_environment(environment),
            )
        except OSError as error:
            raise WorkerError(f"{python or sys.executable} does not start: {error.strerror or error}") from error
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last_words: list[str] = []
        self._readers = [
            threading.Thread(target=target, daemon=True) for target in (self._read_answers, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def open(self, subject: Subject) -> Opened:
        """Opens an engine.

        Raises:
            EngineError: it cannot be opened; the message is the engine's own.
            WorkerError: the process died or hangs.
        """
        reply = self.ask("open", min(START_SECONDS, self._limit_s), subject=subject.as_json())
        reply["shapes"], reply["passed_over"] = tuple(reply["shapes"]), tuple(reply["passed_over"])
        return Opened(**reply)

    def prepare(self, job: Job) -> Sample:
        """Sets the pictures; the times are of the first run on them."""
        return Sample(**self.ask("prepare", shape=list(job.shape), batch=job.batch)["first"])

    def run(self, *, seconds: float, at_least: int = 1, at_most: int = 1_000_000) -> list[Sample]:
        """Runs on the prepared pictures for about some seconds."""
        reply = self.ask("run", self._limit_s + seconds, seconds=seconds, at_least=at_least, at_most=at_most)
        self.detail = reply["detail"]
        return [Sample(**sample) for sample in reply["samples"]]

    def write_output(self, path: Path) -> None:
        """Writes the last result, (N, H, W, 3) uint8, as a NumPy file."""
        self.ask("output", path=str(path.resolve()))

    def write_floats(self, path: Path) -> None:
        """Runs once more and writes (N, 3, H, W) floats in 0..255, not rounded, as a NumPy file.

        Raises:
            EngineError: the engine gives bytes.
        """
        self.ask("floats", path=str(path.resolve()))

    def layers(self, runs: int) -> list[dict[str, Any]]:
        """Mean times of the network's parts: name, kind, ms."""
        layers: list[dict[str, Any]] = self.ask("layers", runs=runs)["layers"]
        return layers

    def memory(self) -> Memory:
        """Memory taken so far."""
        return Memory(**self.ask("memory"))

    def ask(self, command: str, limit_s: float | None = None, **arguments: Any) -> dict[str, Any]:
        """Sends a request and waits for its answer.

        Raises:
            EngineError: the answer is an error.
            WorkerError: the process died or does not answer in time.
        """
        assert self._process.stdin is not None
        limit_s = self._limit_s if limit_s is None else limit_s
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
            reply = self._answer(time.monotonic() + limit_s)
        except queue.Empty:
            self.kill()
            raise WorkerError(f"the engine's process did not answer within {limit_s:.0f} s, and was ended") from None
        except (OSError, ValueError):  # Its end of the pipe is closed, or ours.
            reply = None
        if reply is None:
            raise WorkerError(f"the engine's process {self._end()}")
        if "error" in reply:
            raise EngineError(reply["error"])
        return reply

    def close(self) -> None:
        """Lets the process end by itself, or ends it. May be called twice."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_pipes()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.kill()
        self.close()

    def _answer(self, deadline: float) -> dict[str, Any] | None:
        """The next answer, past lines that are none: what a start-up file of that Python prints; None at the end.

        Raises:
            queue.Empty: the deadline is over.
        """
        while True:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if line is None:
                self._lines.put(None)
                return None
            with suppress(ValueError):
                reply = json.loads(line)
                if isinstance(reply, dict):
                    return reply

    def _close_pipes(self) -> None:
        """Closes our ends, unless a child of the process holds the others open: that would wait for the child."""
        for reader, pipe in zip(self._readers, (self._process.stdout, self._process.stderr), strict=True):
            reader.join(timeout=1)
            if pipe is not None and not reader.is_alive():
                pipe.close()

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._last_words = [*self._last_words[-9:], line.strip()]

    def _end(self) -> str:
        """How the process ended, for people."""
        try:
            code = self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        # Its last words may still be on their way.
        self._readers[1].join(timeout=1)
        if code < 0:
            names = {int(known): known.name for known in signal.Signals}
            cause = f"was ended by {names.get(-code, f'signal {-code}')}"
            return cause + (", as the system does where memory runs out" if -code == signal.SIGKILL else "")
        words = next((line for line in reversed(self._last_words) if line), "without a word")
        return f"ended with code {code}: {words}"
