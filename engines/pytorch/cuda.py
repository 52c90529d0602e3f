"""A PyTorch network as an engine, on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.feeds import check_feeds
from engines.protocol import INPUT, OUTPUT, Arrays, DeviceMemory, LayerTime, StagedEngine, Timestamp
from engines.pytorch.engine import PyTorchEngine


class PyTorchCudaEngine(PyTorchEngine, StagedEngine):
    """A network on the first CUDA device, on PyTorch's own stream."""

    _pinned: Any = None
    _x: Any = None
    _y: Any = None
    _result: Any = None

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        return {OUTPUT: self._run(self._tensor(feeds)).cpu().numpy()}

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        return ()  # The host's clock sees modules start, not run.

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        self._pinned = self._torch.tensor(np.ascontiguousarray(feeds[INPUT])).pin_memory()

    def upload(self) -> None:
        self._x = self._pinned.to(self._device, non_blocking=True)

    def enqueue(self) -> None:
        self._y = self._run(self._x)

    def download(self) -> None:
        torch, shape = self._torch, self._y.shape
        if self._result is None or self._result.shape != shape:
            self._result = torch.empty(shape, dtype=self._y.dtype, pin_memory=True)
        self._result.copy_(self._y, non_blocking=True)

    def wait(self) -> None:
        self._torch.cuda.current_stream().synchronize()

    def collect(self) -> Arrays:
        return {OUTPUT: self._result.numpy().copy()}

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
