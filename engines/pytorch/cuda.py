"""A PyTorch network as an engine, on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.feeds import check_feeds
from engines.protocol import INPUT, OUTPUT, Arrays, DeviceMemory, LayerTime, StagedEngine, Timestamp
from engines.pytorch.engine import PyTorchEngine, telling


class PyTorchCudaEngine(PyTorchEngine, StagedEngine):
    """A network on the first CUDA device, on PyTorch's own stream."""

    _pinned: Any = None
    _x: Any = None
    _y: Any = None
    _result: Any = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.guard = Lock()

    infer = StagedEngine.infer

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        return ()  # The host's clock sees modules start, not run.

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        with telling():
            self._pinned = self._torch.empty(feeds[INPUT].shape, pin_memory=True)
            np.copyto(self._pinned.numpy(), feeds[INPUT])

    def upload(self) -> None:
        with telling():
            self._x = self._pinned.to(self._device, non_blocking=True)

    def enqueue(self) -> None:
        self._y = self._run(self._x)

    def download(self) -> None:
        with telling():
            # PyTorch keeps page-locked memory for the next time: this costs nothing, and the result is the caller's.
            self._result = self._torch.empty(self._y.shape, dtype=self._y.dtype, pin_memory=True)
            self._result.copy_(self._y, non_blocking=True)

    def wait(self) -> None:
        with telling():
            self._torch.cuda.current_stream().synchronize()

    def collect(self) -> Arrays:
        result, self._result = self._result, None
        return {OUTPUT: result.numpy()}

    def mark(self) -> Timestamp:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return _Event(event)

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory(*self._torch.cuda.mem_get_info())

    def close(self) -> None:
        super().close()
        self._pinned = self._x = self._y = self._result = None


class _Event(Timestamp):
    def __init__(self, event: Any) -> None:
        self._event = event

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, _Event)
        return float(earlier._event.elapsed_time(self._event))
