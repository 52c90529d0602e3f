"""The little of CUDA that an engine needs: a device, memory, a stream.

Uses NVIDIA's own bindings (`cuda-bindings`), which install without a compiler and
import without a driver.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError
from efdn.extras import import_extra


class CudaDevice:
    """The first GPU, with one stream of its own.

    Raises:
        MissingExtraError: the bindings are not installed.
        EngineError: there is no driver or no GPU.
    """

    def __init__(self) -> None:
        self._cuda: Any = import_extra("cuda.bindings.runtime", "gpu", "Running a TensorRT engine")
        try:
            found = self._call("cudaGetDeviceCount")
        except (EngineError, RuntimeError) as error:
            raise EngineError(
                f"no usable NVIDIA GPU here ({error}): TensorRT engines run on a GPU with its driver; "
                "without one leave --model out, or give it an ONNX file"
            ) from error
        if found == 0:
            raise EngineError("no NVIDIA GPU here: without one leave --model out, or give it an ONNX file")
        properties = self._call("cudaGetDeviceProperties", 0)
        self.name = properties.name.decode(errors="replace").rstrip("\0")
        self.architecture = f"sm{properties.major}{properties.minor}"
        self.stream = int(self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking))

    def allocate(self, size: int) -> int:
        """Address of `size` new bytes on the device."""
        return int(self._call("cudaMalloc", size))

    def free(self, address: int) -> None:
        """Gives back what `allocate` gave."""
        self._call("cudaFree", address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copies a C-contiguous array to the device, on the stream."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, self.stream)

    def download(self, array: NDArray[np.generic], address: int) -> None:
        """Copies from the device into a C-contiguous array, on the stream."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, self.stream)

    def wait(self) -> None:
        """Returns once all that was put on the stream is done."""
        self._call("cudaStreamSynchronize", self.stream)

    def close(self) -> None:
        """Destroys the stream."""
        if self.stream:
            self._call("cudaStreamDestroy", self.stream)
            self.stream = 0

    def _call(self, name: str, *arguments: Any) -> Any:
        """Calls a CUDA runtime function; its bindings return (status, value...)."""
        status, *values = getattr(self._cuda, name)(*arguments)
        if int(status) != 0:
            raise EngineError(f"{name} failed with CUDA error {int(status)}, {status.name}")
        return values[0] if values else None
