"""`cuda.bindings.runtime` without a GPU: memory of this process, and functions that can be told to fail.

Copies happen at once. What is given back twice or was never had is an invalid value, as in CUDA.
"""

# ruff: noqa: N802, N803, N815
from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any


class cudaError_t(IntEnum):  # noqa: N801
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(IntEnum):  # noqa: N801
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):  # noqa: N801
    cudaStreamCaptureModeRelaxed = 2


class Refused(Exception):  # noqa: N818
    """A call that fails by itself, rather than because a test said so."""


def returning(values: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turns a method into one that returns (status, value...), as many values as the real function has."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(runtime: FakeRuntime, *arguments: Any) -> tuple[Any, ...]:
            runtime.calls.append(function.__name__)
            status = runtime.failures.get(function.__name__, runtime.crash)
            if status is None:
                try:
                    result = function(runtime, *arguments)
                except Refused as refused:
                    status = refused.args[0]
                else:
                    found = () if values == 0 else result if values > 1 else (result,)
                    return cudaError_t.cudaSuccess, *found
            return status, *([None] * values)

        return call

    return decorate


class FakeRuntime(ModuleType):
    """The module.

    Attributes:
        failures: what functions return by name.
        crash: what all return, once a kernel has crashed.
        calls: names of what was called.
        live: handles and memory that were not given back, by kind.
    """

    cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode = cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode
    cudaStreamNonBlocking = 1

    def __init__(self, *, gpus: int = 1, driver: int = 12090, total_bytes: int = 1 << 20) -> None:
        super().__init__("cuda.bindings.runtime")
        self.gpus, self.driver, self.total_bytes = gpus, driver, total_bytes
        self.failures: dict[str, IntEnum] = {}
        self.crash: IntEnum | None = None
        self.calls: list[str] = []
        self.live: dict[str, dict[int, Any]] = {
            kind: {} for kind in ("memory", "pinned", "stream", "event", "graph", "exec")
        }
        self.capturing = False
        self._handles = count(1)
        self._ms = 0.0

    def held(self) -> dict[str, int]:
        """How many of each kind are live, where there are any."""
        return {kind: len(handles) for kind, handles in self.live.items() if handles}

    @returning(1)
    def cudaGetDeviceCount(self) -> int:
        return self.gpus

    @returning(1)
    def cudaGetDeviceProperties(self, device: int) -> Any:
        return SimpleNamespace(name=b"Fake RTX", major=8, minor=6)

    @returning(0)
    def cudaSetDevice(self, device: int) -> None: ...

    @returning(1)
    def cudaDriverGetVersion(self) -> int:
        return self.driver

    def cudaGetLastError(self) -> tuple[IntEnum]:
        self.calls.append("cudaGetLastError")
        return (cudaError_t.cudaSuccess,)

    @returning(2)
    def cudaMemGetInfo(self) -> tuple[int, int]:
        used = sum(ctypes.sizeof(block) for block in self.live["memory"].values())
        return self.total_bytes - used, self.total_bytes

    @returning(1)
    def cudaMalloc(self, size: int) -> int:
        if size > self.total_bytes:
            raise Refused(cudaError_t.cudaErrorMemoryAllocation)
        return self._block("memory", size)

    @returning(0)
    def cudaFree(self, devPtr: int) -> None:
        self._drop("memory", devPtr)

    @returning(1)
    def cudaMallocHost(self, size: int) -> int:
        return self._block("pinned", size)

    @returning(0)
    def cudaFreeHost(self, ptr: int) -> None:
        self._drop("pinned", ptr)

    @returning(0)
    def cudaMemcpyAsync(self, dst: int, src: int, size: int, kind: IntEnum, stream: int) -> None:
        self._known("stream", stream)
        up = kind is cudaMemcpyKind.cudaMemcpyHostToDevice
        for address, place in ((dst, "memory" if up else "pinned"), (src, "pinned" if up else "memory")):
            if ctypes.sizeof(self._known(place, address)) < size:
                raise Refused(cudaError_t.cudaErrorInvalidValue)
        ctypes.memmove(dst, src, size)

    @returning(1)
    def cudaStreamCreateWithFlags(self, flags: int) -> int:
        assert flags == self.cudaStreamNonBlocking
        return self._handle("stream")

    @returning(0)
    def cudaStreamSynchronize(self, stream: int) -> None:
        self._known("stream", stream)

    @returning(0)
    def cudaStreamDestroy(self, stream: int) -> None:
        self._drop("stream", stream)

    @returning(1)
    def cudaEventCreate(self) -> int:
        return self._handle("event")

    @returning(0)
    def cudaEventRecord(self, event: int, stream: int) -> None:
        self._known("stream", stream)
        self._known("event", event)
        self._ms += 1.5
        self.live["event"][event] = self._ms

    @returning(1)
    def cudaEventElapsedTime(self, start: int, end: int) -> float:
        return float(self._known("event", end) - self._known("event", start))

    @returning(0)
    def cudaEventDestroy(self, event: int) -> None:
        self._drop("event", event)

    @returning(0)
    def cudaStreamBeginCapture(self, stream: int, mode: IntEnum) -> None:
        assert mode is cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed
        self.capturing = True

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, ...]:
        self.calls.append("cudaStreamEndCapture")
        self.capturing = False  # It ends, even where it has failed.
        status = self.failures.get("cudaStreamEndCapture")
        return (status, None) if status else (cudaError_t.cudaSuccess, self._handle("graph"))

    @returning(1)
    def cudaGraphInstantiate(self, graph: int, flags: int) -> int:
        self._known("graph", graph)
        return self._handle("exec")

    @returning(0)
    def cudaGraphDestroy(self, graph: int) -> None:
        self._drop("graph", graph)

    @returning(0)
    def cudaGraphLaunch(self, graphExec: int, stream: int) -> None:
        self._known("exec", graphExec)

    @returning(0)
    def cudaGraphExecDestroy(self, graphExec: int) -> None:
        self._drop("exec", graphExec)

    def _handle(self, kind: str) -> int:
        handle = next(self._handles)
        self.live[kind][handle] = None
        return handle

    def _block(self, kind: str, size: int) -> int:
        block = (ctypes.c_uint8 * size)()
        self.live[kind][ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def _known(self, kind: str, handle: int) -> Any:
        if handle not in self.live[kind]:
            raise Refused(cudaError_t.cudaErrorInvalidValue)
        return self.live[kind][handle]

    def _drop(self, kind: str, handle: int) -> None:
        self._known(kind, handle)
        del self.live[kind][handle]
