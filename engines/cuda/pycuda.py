"""CUDA through PyCUDA, for those who have it: it is built from source, with CUDA's headers at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError
from efdn.extras import import_extra
from engines.cuda.bindings import no_gpu, out_of_memory
from engines.cuda.device import Bytes, CudaDevice, cuda_version_text
from engines.protocol import DeviceMemory, Timestamp

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: no waiting for the default stream of others in the process."""


class PyCudaDevice(CudaDevice):
    """The first GPU in its primary context, which is also that of PyTorch and of the CUDA runtime.

    A context of PyCUDA's own (`pycuda.autoinit`) would not see their memory, nor TensorRT's.

    Raises:
        MissingExtraError: PyCUDA is not installed.
        EngineError: there is no driver or no GPU.
    """

    provider = "pycuda"
    graphs = False  # PyCUDA has no calls for them.

    def __init__(self) -> None:
        self._driver: Any = import_extra("pycuda.driver", "pycuda", "Reaching the GPU with PyCUDA")
        try:
            self._driver.init()
            gpu = self._driver.Device(0)
        except self._driver.Error as error:
            raise no_gpu(str(error)) from error
        self._context = gpu.retain_primary_context()
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
        memory: Bytes = self._here(lambda: self._driver.pagelocked_empty(size, np.uint8))
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
        event = self._here(self._driver.Event)
        self._here(lambda: event.record(self._stream))
        return _Event(event)

    def record(self, launch: Callable[[], None]) -> Any:
        raise EngineError("PyCUDA cannot record CUDA graphs: install cuda-bindings, or switch them off")

    def replay(self, graph: Any) -> None:
        raise NotImplementedError

    def forget(self, graph: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self.stream:
            self._stream = None
            self.stream = 0
            self._context.detach()

    def _here(self, call: Callable[[], Any]) -> Any:
        """Calls with the context made current on this thread, and other libraries' one put back afterwards."""
        self._context.push()
        try:
            return call()
        except self._driver.MemoryError:
            raise
        except self._driver.Error as error:
            raise EngineError(f"PyCUDA failed: {' '.join(str(error).split())}") from error
        finally:
            self._context.pop()


class _Event(Timestamp):
    def __init__(self, event: Any) -> None:
        self._event = event

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, _Event)
        return float(self._event.time_since(earlier._event))
