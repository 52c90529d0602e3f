"""Starts an engine's kernels, one by one or as a recorded graph.

A network of a hundred kernels of some microseconds each is bound by the time that
the host takes to start them. Recorded once, they start with one call. TensorRT for
RTX records by itself; for standard TensorRT it is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from efdn.errors import EngineError
from engines.cuda.device import CudaDevice

TRIES = 2


class Launcher:
    """Starts a network: as it is the first time, and from the second time on by its recording.

    Args:
        device: on whose stream.
        start: puts the kernels on the stream.
        recording: whether to record.
    """

    def __init__(self, device: CudaDevice, start: Callable[[], None], *, recording: bool) -> None:
        self._device, self._start, self._recording = device, start, recording
        self._graph: Any = None
        self._warm = False
        self._failures = 0

    @property
    def gave_up(self) -> bool:
        """Whether recording was tried, and is no more."""
        return self._failures >= TRIES

    def launch(self) -> None:
        """Starts the network."""
        if not self._recording or self.gave_up or not self._warm:
            # The first run after a change of shapes sets up what a recording may not.
            self._start()
            self._warm = True
            return
        if self._graph is None:
            self._graph = self._recorded()
        if self._graph is None:
            self._start()
        else:
            self._device.replay(self._graph)

    def reset(self) -> None:
        """To be called before anything changes that the kernels were recorded with: their context, for one.

        A recording is good for the state of the context it was made in and for no other,
        not even for that state come back.
        """
        self._warm = False
        if self._graph is not None:
            self._device.wait()  # It must not be freed while it runs.
            graph, self._graph = self._graph, None
            self._device.forget(graph)

    def _recorded(self) -> Any:
        try:
            return self._device.record(self._start)
        except EngineError:
            self._failures += 1
            self._warm = False
            return None
