"""What an engine needs of a GPU: memory on both sides, copies, a stream, points in time, recorded graphs.

Small enough that a fake stands in for it where there is no GPU.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.protocol import DeviceMemory, Timestamp

Bytes = NDArray[np.uint8]


class CudaDevice(Protocol):
    """The first GPU, with one stream of its own. All copies and launches go on that stream.

    Attributes:
        provider: "cuda-bindings" or "pycuda".
        name: of the GPU.
        architecture: its compute capability, such as "sm86".
        cuda_version: newest CUDA that the driver supports, such as "13.0".
        stream: its handle.
        graphs: whether launches can be recorded and repeated.
    """

    provider: str
    name: str
    architecture: str
    cuda_version: str
    stream: int
    graphs: bool

    @abstractmethod
    def memory(self) -> DeviceMemory:
        """Free and total memory of the GPU, all processes together."""

    @abstractmethod
    def allocate(self, size: int) -> int:
        """Address of `size` new bytes on the GPU.

        Raises:
            DeviceMemoryError: there are not as many.
        """

    @abstractmethod
    def free(self, address: int) -> None:
        """Gives back what `allocate` gave."""

    @abstractmethod
    def pin(self, size: int) -> Bytes:
        """`size` new bytes of page-locked host memory, which the GPU copies from and to by itself.

        Raises:
            EngineError: there are not as many.
        """

    @abstractmethod
    def unpin(self, memory: Bytes) -> None:
        """Gives back the very array that `pin` gave; no other may look into it any more.

        On any thread, and after `close` too: results outlive engines.
        """

    @abstractmethod
    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copies a C-contiguous array to the GPU. The array must live until the stream has passed."""

    @abstractmethod
    def download(self, array: NDArray[Any], address: int) -> None:
        """Copies from the GPU into a C-contiguous array, which must live until the stream has passed."""

    @abstractmethod
    def wait(self) -> None:
        """Returns once all that was put on the stream is done."""

    @abstractmethod
    def mark(self) -> Timestamp:
        """Records a point in time on the stream."""

    @abstractmethod
    def record(self, launch: Callable[[], None]) -> Any:
        """What `launch` puts on the stream, without running it, as a graph for `replay`. Only where `graphs` is true.

        Raises:
            EngineError: something in it cannot be recorded.
        """

    @abstractmethod
    def replay(self, graph: Any) -> None:
        """Puts a recorded graph on the stream."""

    @abstractmethod
    def forget(self, graph: Any) -> None:
        """Frees a recorded graph."""

    @abstractmethod
    def close(self) -> None:
        """Destroys the stream, on which nothing may be left. May be called twice."""


def cuda_version_text(number: int) -> str:
    """13000 as "13.0", as CUDA counts."""
    return f"{number // 1000}.{number % 1000 // 10}"
