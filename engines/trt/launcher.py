"""Starts an engine's kernels, one by one or as a recorded graph.

A network of a hundred kernels of some microseconds each is bound by the time that
the host takes to start them. Recorded once, they start with one call. TensorRT for
RTX records by itself; for standard TensorRT it is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from efdn.errors import EngineError
from engines.cuda.device import CudaDevice

KEPT = 8
"""Graphs of as many shapes and buffers are kept."""


class Launcher:
    """Starts a network, from the second time on by its recording.

    Args:
        device: on whose stream.
        start: puts the kernels on the stream.
        recording: whether to record.
    """

    def __init__(self, device: CudaDevice, start: Callable[[], None], *, recording: bool) -> None:
        self._device, self._start, self._recording = device, start, recording
        self._graphs: dict[Hashable, Any] = {}
        self.failure: str | None = None
        """Why nothing is recorded although it was asked for."""

    def launch(self, key: Hashable) -> None:
        """Starts the network.

        Args:
            key: of shapes and addresses; a recording is good for those it was made with.
        """
        if not self._recording:
            self._start()
        elif key not in self._graphs:
            # Unrecorded, because a first run sets up what a recording may not.
            self._start()
            self._remember(key, None)
        else:
            if self._graphs[key] is None:
                self._graphs[key] = self._recorded()
            if self._graphs[key] is None:
                self._start()
            else:
                self._device.replay(self._graphs[key])

    def close(self) -> None:
        """Frees the recordings."""
        while self._graphs:
            _, graph = self._graphs.popitem()
            self._forget(graph)

    def _remember(self, key: Hashable, graph: Any) -> None:
        if len(self._graphs) >= KEPT:
            oldest = next(iter(self._graphs))
            # A recording must not be freed while it runs.
            self._device.wait()
            self._forget(self._graphs.pop(oldest))
        self._graphs[key] = graph

    def _recorded(self) -> Any:
        try:
            return self._device.record(self._start)
        except EngineError as error:
            self._recording, self.failure = False, str(error)
            return None

    def _forget(self, graph: Any) -> None:
        if graph is not None:
            self._device.forget(graph)
