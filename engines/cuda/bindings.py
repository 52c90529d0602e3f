"""CUDA through NVIDIA's own bindings, `cuda-bindings`, which need neither a compiler nor, to import, a driver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import DeviceMemoryError, EngineError
from efdn.extras import import_extra
from engines.cuda.device import Bytes, CudaDevice, cuda_version_text
from engines.protocol import DeviceMemory, Timestamp

OUT_OF_MEMORY = 2
"""cudaErrorMemoryAllocation."""


class BindingsDevice(CudaDevice):
    """The first GPU, through the CUDA runtime, whose primary context it shares with PyTorch and ONNX Runtime.

    Raises:
        MissingExtraError: the bindings are not installed.
        EngineError: there is no driver or no GPU.
    """

    provider = "cuda-bindings"
    graphs = True

    def __init__(self) -> None:
        self._cuda: Any = import_extra("cuda.bindings.runtime", "gpu", "Running a TensorRT engine")
        try:
            found = self._call("cudaGetDeviceCount")
        except (EngineError, RuntimeError) as error:
            raise no_gpu(str(error)) from error
        if found == 0:
            raise no_gpu("CUDA finds none")
        properties = self._call("cudaGetDeviceProperties", 0)
        self.name = properties.name.decode(errors="replace").rstrip("\0")
        self.architecture = f"sm{properties.major}{properties.minor}"
        self.cuda_version = cuda_version_text(self._call("cudaDriverGetVersion"))
        self._pinned: dict[int, Any] = {}
        self.stream = int(self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking))

    def memory(self) -> DeviceMemory:
        free, total = self._call("cudaMemGetInfo")
        return DeviceMemory(int(free), int(total))

    def allocate(self, size: int) -> int:
        status, address = self._cuda.cudaMalloc(size)
        if int(status) == OUT_OF_MEMORY:
            self._cuda.cudaGetLastError()  # Or the next call that asks for it reports this failure as its own.
            raise out_of_memory(size, self.memory())
        self._check("cudaMalloc", status)
        return int(address)

    def free(self, address: int) -> None:
        self._call("cudaFree", address)

    def pin(self, size: int) -> Bytes:
        address = int(self._call("cudaMallocHost", size))
        memory: Bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        self._pinned[address] = memory
        return memory

    def unpin(self, memory: Bytes) -> None:
        address = memory.ctypes.data
        del self._pinned[address]
        self._call("cudaFreeHost", address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, self.stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, self.stream)

    def wait(self) -> None:
        self._call("cudaStreamSynchronize", self.stream)

    def mark(self) -> Timestamp:
        event = self._call("cudaEventCreate")
        self._call("cudaEventRecord", event, self.stream)
        return _Event(self, event)

    def record(self, launch: Callable[[], None]) -> Any:
        # Thread-local: what other threads do with the GPU meanwhile must not spoil the recording.
        self._call("cudaStreamBeginCapture", self.stream, self._cuda.cudaStreamCaptureMode(1))
        try:
            launch()
        finally:
            status, graph = self._cuda.cudaStreamEndCapture(self.stream)
        self._check("cudaStreamEndCapture", status)
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def replay(self, graph: Any) -> None:
        self._call("cudaGraphLaunch", graph, self.stream)

    def forget(self, graph: Any) -> None:
        self._call("cudaGraphExecDestroy", graph)

    def close(self) -> None:
        if self.stream:
            self._call("cudaStreamDestroy", self.stream)
            self.stream = 0

    def _call(self, name: str, *arguments: Any) -> Any:
        """Calls a CUDA runtime function; its bindings return (status, value...)."""
        status, *values = getattr(self._cuda, name)(*arguments)
        self._check(name, status)
        return tuple(values) if len(values) > 1 else values[0] if values else None

    @staticmethod
    def _check(name: str, status: Any) -> None:
        if int(status) != 0:
            raise EngineError(f"{name} failed with CUDA error {int(status)}, {status.name}")


class _Event(Timestamp):
    def __init__(self, device: BindingsDevice, event: Any) -> None:
        self._device, self._event = device, event

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, _Event)
        return float(self._device._call("cudaEventElapsedTime", earlier._event, self._event))

    def __del__(self) -> None:
        self._device._cuda.cudaEventDestroy(self._event)


def no_gpu(reason: str) -> EngineError:
    """The error where there is no GPU to run on."""
    return EngineError(
        f"no usable NVIDIA GPU here ({reason}): TensorRT engines run on a GPU with its driver; "
        "without one leave --model out, or give it an ONNX file"
    )


def out_of_memory(needed: int, memory: DeviceMemory) -> DeviceMemoryError:
    """The error where the GPU has too little left."""
    return DeviceMemoryError(
        f"out of GPU memory: {needed / 1e6:,.0f} MB are needed, {memory.free / 1e6:,.0f} MB "
        f"of {memory.total / 1e6:,.0f} MB are free: close other programs, or take an engine for smaller pictures",
        needed_bytes=needed,
        free_bytes=memory.free,
    )
