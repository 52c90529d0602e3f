"""TensorRT's nested build phases as one number between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

Progress = Callable[[float, str], None]
"""Told the share done, 0..1, and the phase at work."""


def quiet(share: float, phase: str) -> None:
    """Shows nothing."""


class PhaseTree:
    """Follows phases that start, step and finish inside one another."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._steps: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._parents: dict[str, str | None] = {}
        self._shown = 0.0

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase begins; its parent, if any, is at work already."""
        self._steps[phase], self._done[phase], self._parents[phase] = max(1, steps), 0, parent
        self._report(phase)

    def step(self, phase: str, step: int) -> None:
        """Step number `step`, counted from 0, is done."""
        self._done[phase] = step + 1
        self._report(phase)

    def finish(self, phase: str) -> None:
        """A phase ends, whether or not all its steps were announced."""
        self._done[phase] = self._steps[phase]
        self._report(phase)

    def _report(self, phase: str) -> None:
        share, current = 0.0, phase
        while True:
            share = min(1.0, (self._done[current] + share) / self._steps[current])
            parent = self._parents[current]
            if parent is None or parent not in self._steps:
                break
            current = parent
        # Phases may run side by side; a bar that goes back would tell less than one that waits.
        self._shown = max(self._shown, share)
        self._progress(self._shown, phase)


def monitor_for(trt: ModuleType, progress: Progress) -> Any | None:
    """A progress monitor for a builder's configuration; None before TensorRT 10, which has none."""
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.tree = PhaseTree(progress)
            self.interrupted = False

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.tree.start(phase, parent, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            # Called from C++, through which an exception does not pass; False ends the build.
            try:
                self.tree.step(phase, step)
            except KeyboardInterrupt:
                self.interrupted = True
            return not self.interrupted

        def phase_finish(self, phase: str) -> None:
            self.tree.finish(phase)

    return Monitor()
