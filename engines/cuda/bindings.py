"""CUDA through NVIDIA's own bindings, `cuda-bindings`, which need neither a compiler nor, to import, a driver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import DeviceMemoryError, EngineError
from efdn.extras import import_extra
from engines.cuda.device import Bytes, CudaDevice, cuda_version_text
from engines.protocol import DeviceMemory, Timestamp

OUT_OF_MEMORY, OLD_DRIVER = 2, 35
"""cudaErrorMemoryAllocation, cudaErrorInsufficientDriver."""

MISUSES = (1, 400)
"""cudaErrorInvalidValue, cudaErrorInvalidResourceHandle: what is given back twice, or was never had."""


class BindingsDevice(CudaDevice):
    """The first GPU, through the CUDA runtime, whose primary context it shares with PyTorch and ONNX Runtime.

    The GPU that is current on a thread is the first one unless someone chose another: it is chosen for the
    thread that opens this, and others that use it must not have chosen differently.

    Raises:
        MissingExtraError: the bindings are not installed.
        EngineError: there is no driver or no GPU.
    """

    provider = "cuda-bindings"
    graphs = True

    def __init__(self) -> None:
        self._cuda: Any = import_extra("cuda.bindings.runtime", "gpu", "Running a TensorRT engine")
        self._require_gpu()
        self._call("cudaSetDevice", 0)
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
        self._give_back("cudaFree", address)

    def pin(self, size: int) -> Bytes:
        status, pointer = self._cuda.cudaMallocHost(size)
        if int(status) == OUT_OF_MEMORY:
            self._cuda.cudaGetLastError()
            raise out_of_pinned_memory(size)
        self._check("cudaMallocHost", status)
        address = int(pointer)
        memory: Bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        self._pinned[address] = memory
        return memory

    def unpin(self, memory: Bytes) -> None:
        address = memory.ctypes.data
        del self._pinned[address]
        self._give_back("cudaFreeHost", address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, self.stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, self.stream)

    def wait(self) -> None:
        self._call("cudaStreamSynchronize", self.stream)

    def mark(self) -> Timestamp:
        event = _Event(self, self._call("cudaEventCreate"))
        self._call("cudaEventRecord", event.handle, self.stream)
        return event

    def record(self, launch: Callable[[], None]) -> Any:
        # Relaxed: what other threads do with the GPU meanwhile must not spoil the recording, nor memory
        # that the garbage collector gives back on this one.
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed
        self._call("cudaStreamBeginCapture", self.stream, mode)
        try:
            launch()
        except BaseException:
            # The stream takes nothing else before its recording has ended; half a graph is of no use.
            status, graph = self._cuda.cudaStreamEndCapture(self.stream)
            if int(status) == 0:
                self._give_back("cudaGraphDestroy", graph)
            self._cuda.cudaGetLastError()  # Or the next call of TensorRT's reports this failure as its own.
            raise
        try:
            graph = self._call("cudaStreamEndCapture", self.stream)
        except EngineError:
            self._cuda.cudaGetLastError()
            raise
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._give_back("cudaGraphDestroy", graph)

    def replay(self, graph: Any) -> None:
        self._call("cudaGraphLaunch", graph, self.stream)

    def forget(self, graph: Any) -> None:
        self._give_back("cudaGraphExecDestroy", graph)

    def close(self) -> None:
        stream, self.stream = self.stream, 0
        if stream:
            self._give_back("cudaStreamDestroy", stream)

    def _require_gpu(self) -> None:
        """Raises EngineError where there is no GPU, or none for this release of the bindings."""
        try:
            status, found = self._cuda.cudaGetDeviceCount()
            version = self._call("cudaDriverGetVersion") if int(status) == OLD_DRIVER else 0
            if version:  # It is 0 where there is no driver at all.
                raise no_gpu(
                    f"its driver is for CUDA {cuda_version_text(version)}, older than the installed cuda-bindings: "
                    f"update it, or pip install 'cuda-bindings=={version // 1000}.*'"
                )
            self._check("cudaGetDeviceCount", status)
        except (RuntimeError, _CallError) as error:  # Releases up to 12.8 look for the driver only now, and raise.
            raise no_gpu(str(error)) from error
        if found == 0:
            raise no_gpu("CUDA finds none")

    def _call(self, name: str, *arguments: Any) -> Any:
        """Calls a CUDA runtime function; its bindings return (status, value...)."""
        try:
            status, *values = getattr(self._cuda, name)(*arguments)
        except RuntimeError as error:  # Releases up to 12.8 look functions up in the driver as they are called.
            raise _CallError(f"{name} failed: {error}") from error
        self._check(name, status)
        return tuple(values) if len(values) > 1 else values[0] if values else None

    def _give_back(self, name: str, handle: Any) -> None:
        """Frees something. Once a kernel has crashed all calls fail with its error, and CUDA frees by itself."""
        status = getattr(self._cuda, name)(handle)[0]
        if int(status) in MISUSES:
            self._check(name, status)

    @staticmethod
    def _check(name: str, status: Any) -> None:
        if int(status) != 0:
            raise _CallError(f"{name} failed with CUDA error {int(status)}, {status.name}")


class _CallError(EngineError):
    """A call that CUDA refused."""


class _Event(Timestamp):
    def __init__(self, device: BindingsDevice, handle: Any) -> None:
        self._device, self.handle = device, handle

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, _Event)
        return float(self._device._call("cudaEventElapsedTime", earlier.handle, self.handle))

    def __del__(self) -> None:
        with suppress(Exception):  # As the interpreter goes, what this calls may be gone already.
            self._device._cuda.cudaEventDestroy(self.handle)


def no_gpu(reason: str) -> EngineError:
    """The error where there is no GPU to run on."""
    return EngineError(
        f"no usable NVIDIA GPU here ({reason}): TensorRT engines run on a GPU with its driver; "
        "without one take an ONNX file, which also runs on the CPU"
    )


def out_of_memory(needed: int, memory: DeviceMemory) -> DeviceMemoryError:
    """The error where the GPU has too little left."""
    return DeviceMemoryError(
        f"out of GPU memory: {needed / 1e6:,.0f} MB are needed, {memory.free / 1e6:,.0f} MB "
        f"of {memory.total / 1e6:,.0f} MB are free: close other programs, or take an engine for smaller pictures",
        needed_bytes=needed,
        free_bytes=memory.free,
    )


def out_of_pinned_memory(needed: int) -> EngineError:
    """The error where the host has too little memory that can be page-locked."""
    return EngineError(
        f"out of page-locked memory: {needed / 1e6:,.0f} MB of the host's memory could not be had: "
        "close other programs, or take smaller pictures"
    )
