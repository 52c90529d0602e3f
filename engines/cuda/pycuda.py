"""CUDA through PyCUDA, for those who have it: it is built from source, with CUDA's headers at hand."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError
from efdn.extras import import_extra
from engines.cuda.bindings import no_gpu, out_of_memory, out_of_pinned_memory
from engines.cuda.device import Bytes, CudaDevice, cuda_version_text
from engines.protocol import DeviceMemory, Timestamp

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: no waiting for the default stream of others in the process."""


class PyCudaDevice(CudaDevice):
    """The first GPU in its primary context, which is also that of PyTorch and of the CUDA runtime.

    A context of PyCUDA's own (`pycuda.autoinit`) would not see their memory, nor TensorRT's. The primary one is
    made current for each call and put away again, since `pycuda.autoprimaryctx` does it for one thread only and
    whatever else is current there, of PyCUDA or not, is to stay so.

    Raises:
        MissingExtraError: PyCUDA is not installed.
        EngineError: there is no driver or no GPU.
    """

    provider = "pycuda"
    graphs = False  # PyCUDA has no calls for them.

    def __init__(self) -> None:
        self._driver: Any = _load_driver()
        try:
            self._driver.init()
            gpu = self._driver.Device(0)
            self._context = _primary_context(self._driver)
        except self._driver.Error as error:
            raise no_gpu(_one_line(error)) from error
        self.name = gpu.name()
        self.architecture = "sm{}{}".format(*gpu.compute_capability())
        self.cuda_version = cuda_version_text(self._driver.get_driver_version())
        self._allocations: dict[int, Any] = {}
        self._stream = self._here(lambda: self._driver.Stream(NON_BLOCKING))
        self.stream = int(self._stream.handle)

    def memory(self) -> DeviceMemory:
        free, total = self._here(self._driver.mem_get_info)
        return DeviceMemory(int(free), int(total))

    def allocate(self, size: int) -> int:
        try:
            allocation = self._here(lambda: self._driver.mem_alloc(size))
        except self._driver.MemoryError as error:
            raise out_of_memory(size, self.memory()) from error
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        self._here(self._allocations.pop(address).free)

    def pin(self, size: int) -> Bytes:
        try:
            memory: Bytes = self._here(lambda: self._driver.pagelocked_empty(size, np.uint8))
        except self._driver.MemoryError as error:
            raise out_of_pinned_memory(size) from error
        return memory

    def unpin(self, memory: Bytes) -> None:
        self._here(memory.base.free)  # type: ignore[union-attr]

    def upload(self, address: int, array: NDArray[Any]) -> None:
        self._here(lambda: self._driver.memcpy_htod_async(address, array, self._stream))

    def download(self, array: NDArray[Any], address: int) -> None:
        self._here(lambda: self._driver.memcpy_dtoh_async(array, address, self._stream))

    def wait(self) -> None:
        self._here(self._stream.synchronize)

    def mark(self) -> Timestamp:
        return self._here(self._marked)  # type: ignore[no-any-return]

    def record(self, launch: Callable[[], None]) -> Any:
        raise EngineError("PyCUDA cannot record CUDA graphs: install cuda-bindings, or switch them off")

    def replay(self, graph: Any) -> None:
        raise NotImplementedError

    def forget(self, graph: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self.stream:
            self.stream = 0
            self._here(self._destroy_stream)

    def _marked(self) -> _Event:
        event = _Event(self, self._driver.Event())
        event.event.record(self._stream)
        return event

    def _destroy_stream(self) -> None:
        self._stream = None

    def _here(self, call: Callable[[], Any]) -> Any:
        """Calls with the context made current on this thread, and what was current put back afterwards.

        PyCUDA destroys things where their last reference is dropped, and only warns on a thread where the context
        is not current: so that must be in here too.
        """
        try:
            self._context.push()
            try:
                return call()
            finally:
                self._context.pop()
        except self._driver.MemoryError:
            raise
        except self._driver.Error as error:
            raise EngineError(f"PyCUDA failed: {_one_line(error)}") from error


class _Event(Timestamp):
    def __init__(self, device: PyCudaDevice, event: Any) -> None:
        self._device, self.event = device, event

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, _Event)
        return float(self._device._here(lambda: self.event.time_since(earlier.event)))

    def __del__(self) -> None:
        with suppress(Exception):  # As the interpreter goes, what this calls may be gone already.
            self._device._here(self._destroy)

    def _destroy(self) -> None:
        self.event = None


def _load_driver() -> ModuleType:
    try:
        return import_extra("pycuda.driver", "pycuda", "Reaching the GPU with PyCUDA")
    except EngineError as error:
        if "libcuda" in str(error):  # It belongs to the GPU's driver: installing PyCUDA anew would not help.
            raise no_gpu(_one_line(error.__cause__ or error)) from error
        raise


@cache
def _primary_context(driver: Any) -> Any:
    """The first GPU's primary context, held until the process ends.

    Released, it would stay current on the thread as a dead one, since neither PyCUDA nor CUDA takes it off
    the stack then, and page-locked memory that is still looked into could not be freed any more.
    """
    context = driver.Device(0).retain_primary_context()
    # Never collected, not even as the interpreter goes: PyCUDA's destructor takes it for a context of its own
    # making and calls cuCtxDetach on it (2026.1).
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(context))
    return context


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
