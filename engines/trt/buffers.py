"""Memory of an engine's tensors, on the GPU and page-locked on the host, kept from call to call."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.cuda.device import Bytes, CudaDevice

KEPT = 4
"""Page-locked buffers that wait for their next use; more only hold memory."""


class PinnedPool:
    """Page-locked memory for arrays that callers keep as long as they like.

    A copy out of it would cost as much as the transfer from the GPU. So results are
    handed out in it, and the memory comes back when the last array on it is gone.

    Args:
        device: whose memory it is.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        # No lock: memory comes back whenever the garbage collector finds it, in the middle of any of these methods too.
        self._free: deque[Bytes] = deque()
        self._kept = KEPT

    def array(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """A new array, uninitialised; it may outlive the pool."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        lease = _Lease(self, self._taken(size), shape, dtype)
        # Views of views still hold the lease, since it is no array itself.
        return np.asarray(lease)

    def close(self) -> None:
        """Frees what is not handed out; the rest is freed as it comes back."""
        self._kept = 0
        self._free_surplus()

    def give_back(self, memory: Bytes) -> None:
        """Takes memory that no array looks into any more."""
        self._free.append(memory)
        self._free_surplus()

    def _taken(self, size: int) -> Bytes:
        for _ in range(len(self._free)):
            memory = self._oldest()
            if memory is None:
                break
            if memory.nbytes == size:
                return memory
            self._free.append(memory)
        return self._device.pin(size)

    def _free_surplus(self) -> None:
        while len(self._free) > self._kept:
            memory = self._oldest()
            if memory is not None:
                self._device.unpin(memory)

    def _oldest(self) -> Bytes | None:
        try:
            return self._free.popleft()
        except IndexError:
            return None


class _Lease:
    """Holds memory out of the pool for as long as NumPy holds this."""

    def __init__(self, pool: PinnedPool, memory: Bytes, shape: tuple[int, ...], dtype: str) -> None:
        self._pool, self._memory = pool, memory
        self.__array_interface__ = {
            "data": (memory.ctypes.data, False),
            "shape": shape,
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }

    def __del__(self) -> None:
        self._pool.give_back(self._memory)


class DeviceBuffers:
    """Memory on the GPU by tensor name, which only grows.

    Args:
        device: whose memory it is.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._buffers: dict[str, tuple[int, int]] = {}

    def address(self, name: str, size: int) -> int:
        """Where at least `size` bytes are for a tensor.

        Raises:
            DeviceMemoryError: there are not as many.
        """
        address, capacity = self._buffers.get(name, (0, 0))
        if capacity < size:
            if capacity:
                # Forgotten before it is freed: should what follows fail, it must not be freed again.
                del self._buffers[name]
                self._device.free(address)
            address = self._device.allocate(size)
            self._buffers[name] = (address, size)
        return address

    def close(self) -> None:
        """Frees everything."""
        while self._buffers:
            _, (address, _) = self._buffers.popitem()
            self._device.free(address)
