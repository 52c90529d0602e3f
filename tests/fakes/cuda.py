"""A GPU that is none: its memory lies in NumPy arrays, and its stream runs nothing before someone waits for it.

It is stricter than a real one. Where CUDA would read what happens to lie there, or
crash, it raises AssertionError, and all memory that nobody has written holds `FRESH`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from efdn.errors import EngineError
from engines.cuda.bindings import out_of_memory
from engines.cuda.device import Bytes, CudaDevice
from engines.protocol import DeviceMemory, Timestamp

FRESH, FREED = 0xCD, 0xDD
"""What fills memory that was never written, and memory that was given back."""

FIRST_ADDRESS, ALIGNMENT = 0x7F00_0000_0000, 256


@dataclass(frozen=True)
class Operation:
    """Something on the stream: what it does, and the blocks of memory that must last until it is done."""

    name: str
    run: Callable[[], None]
    blocks: tuple[int, ...] = ()


@dataclass(eq=False)
class Graph:
    """A recording."""

    operations: list[Operation]


class Mark(Timestamp):
    """A point in time, of a clock that counts operations."""

    ms: float | None = None

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, Mark)
        assert self.ms is not None, "the stream has not passed this mark: wait for it"
        assert earlier.ms is not None, "the stream has not passed the earlier mark: wait for it"
        return self.ms - earlier.ms


class FakeDevice(CudaDevice):
    """A GPU without one.

    Args:
        total_bytes: its memory.
        name: of the GPU.
        architecture: as in "sm86".
        cuda_version: of the driver.
        graphs: whether it can record.
        provider: whose bindings it plays.

    Attributes:
        records: whether recording succeeds; if false it fails once everything has been launched.
        failure: of a kernel; if set, `wait` raises EngineError with it, then and ever after.
        ms_per_operation: how long each takes.
        taken_bytes: memory of other processes.
        done: names of the operations that the stream has passed.
    """

    def __init__(
        self,
        *,
        total_bytes: int = 8 << 30,
        name: str = "Fake RTX",
        architecture: str = "sm86",
        cuda_version: str = "13.0",
        graphs: bool = True,
        provider: str = "cuda-bindings",
    ) -> None:
        self.provider, self.name, self.architecture = provider, name, architecture
        self.cuda_version, self.graphs, self.stream = cuda_version, graphs, 7
        self.total_bytes, self.taken_bytes = total_bytes, 0
        self.records = True
        self.failure: str | None = None
        self.ms_per_operation = 1.0
        self.done: list[str] = []
        self._now_ms = 0.0
        self._next = FIRST_ADDRESS
        self._blocks: dict[int, Bytes] = {}
        self._pinned: dict[int, Bytes] = {}
        self._graveyard: list[Bytes] = []  # Those who look into freed pages shall read FREED, not crash.
        self._graphs: list[Graph] = []
        self._pending: list[Operation] = []
        self._recording: list[Operation] | None = None
        self._spoilt: str | None = None

    # What engines use.

    def memory(self) -> DeviceMemory:
        self._open("memory")
        return DeviceMemory(self.total_bytes - self.taken_bytes - self.allocated_bytes, self.total_bytes)

    def allocate(self, size: int) -> int:
        self._open("allocate")
        self._outside_recordings("allocate")
        assert size > 0, f"allocating {size} bytes"
        if size > self.memory().free:
            raise out_of_memory(size, self.memory())
        address, self._next = self._next, self._next + (size // ALIGNMENT + 2) * ALIGNMENT
        self._blocks[address] = np.full(size, FRESH, np.uint8)
        return address

    def free(self, address: int) -> None:
        self._open("free")
        self._outside_recordings("free")
        assert address in self._blocks, f"freeing {address:#x}, which is not allocated, or was freed before"
        self._unused(address)
        del self._blocks[address]

    def pin(self, size: int) -> Bytes:
        self._open("pin")
        assert size > 0, f"pinning {size} bytes"
        memory: Bytes = np.full(size, FRESH, np.uint8)
        self._pinned[memory.ctypes.data] = memory
        return memory

    def unpin(self, memory: Bytes) -> None:
        # Also of a closed device: results outlive engines.
        address = memory.ctypes.data
        assert self._pinned.get(address) is memory, "unpinning what `pin` did not give, or what was unpinned before"
        self._unused(address)
        memory.fill(FREED)
        self._graveyard.append(self._pinned.pop(address))

    def upload(self, address: int, array: NDArray[Any]) -> None:
        block = self._pinned_block(array)
        target = self._block(address, array.nbytes)

        def run() -> None:
            self.array(address, (array.nbytes,), np.uint8)[...] = array.reshape(-1).view(np.uint8)

        self._put(Operation("upload", run, (block, target)))

    def download(self, array: NDArray[Any], address: int) -> None:
        block = self._pinned_block(array)
        source = self._block(address, array.nbytes)
        assert array.flags.writeable, "downloading into an array that is read-only"

        def run() -> None:
            array.reshape(-1).view(np.uint8)[...] = self.array(address, (array.nbytes,), np.uint8)

        self._put(Operation("download", run, (block, source)))

    def wait(self) -> None:
        self._open("wait")
        self._outside_recordings("wait")
        while self._pending and self.failure is None:
            operation = self._pending[0]
            operation.run()
            del self._pending[0]
            self._now_ms += self.ms_per_operation * (operation.name != "mark")
            self.done.append(operation.name)
        if self.failure is not None:
            self._pending.clear()
            raise EngineError(self.failure)

    def mark(self) -> Timestamp:
        self._open("mark")
        assert self._recording is None, "a mark in a recording never gets a time"
        mark = Mark()

        def run() -> None:
            mark.ms = self._now_ms

        self._put(Operation("mark", run))
        return mark

    def record(self, launch: Callable[[], None]) -> Graph:
        self._open("record")
        assert self.graphs, "this device cannot record"
        assert self._recording is None, "recording within a recording"
        self._recording, self._spoilt = [], None
        try:
            launch()
        finally:
            operations, self._recording = self._recording, None
        if not self.records or self._spoilt is not None:
            raise EngineError(self._spoilt or "cudaStreamEndCapture failed with CUDA error 901")
        graph = Graph(operations)
        self._graphs.append(graph)
        return graph

    def replay(self, graph: Graph) -> None:
        self._open("replay")
        assert graph in self._graphs, "replaying a graph that was forgotten, or never recorded"
        for operation in graph.operations:
            self._put(operation)

    def forget(self, graph: Graph) -> None:
        self._open("forget")
        assert graph in self._graphs, "forgetting a graph that was forgotten before, or never recorded"
        running = any(operation is other for operation in self._pending for other in graph.operations)
        assert not running, "forgetting a graph that is still on the stream: wait for it"
        self._graphs.remove(graph)

    def close(self) -> None:
        if self.stream:
            assert not self._pending, f"closing with {self._pending[0].name} still on the stream: wait for it"
            self.stream = 0

    # What tests and other fakes use.

    @property
    def recording(self) -> bool:
        """Whether what is put on the stream is being recorded."""
        return self._recording is not None

    @property
    def allocated_bytes(self) -> int:
        """Of the GPU's memory."""
        return sum(block.nbytes for block in self._blocks.values())

    @property
    def pinned_bytes(self) -> int:
        """Of the host's memory."""
        return sum(block.nbytes for block in self._pinned.values())

    @property
    def pending(self) -> tuple[str, ...]:
        """Names of what is on the stream."""
        return tuple(operation.name for operation in self._pending)

    def leaks(self) -> list[str]:
        """All that was not given back."""
        return [
            *(f"{block.nbytes} bytes of the GPU at {address:#x}" for address, block in self._blocks.items()),
            *(f"{block.nbytes} bytes pinned" for block in self._pinned.values()),
            *("a graph" for _ in self._graphs),
            *(["the stream"] if self.stream else []),
        ]

    def submit(self, kernel: Callable[[], None]) -> None:
        """Puts a kernel on the stream, or into the recording."""
        self._put(Operation("kernel", kernel))

    def array(self, address: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A view of the GPU's memory, for kernels."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        start = self._block(address, size)
        return self._blocks[start][address - start :][:size].view(dtype).reshape(shape)

    def _put(self, operation: Operation) -> None:
        self._open(operation.name)
        (self._pending if self._recording is None else self._recording).append(operation)

    def _open(self, name: str) -> None:
        assert self.stream, f"{name} on a closed device"

    def _outside_recordings(self, name: str) -> None:
        if self._recording is not None:
            self._spoilt = f"{name} is not permitted while the stream is recorded"
            raise EngineError(self._spoilt)

    def _unused(self, block: int) -> None:
        users = [operation.name for operation in self._pending if block in operation.blocks]
        assert not users, f"freeing memory that {users[0] if users else ''} on the stream still needs: wait for it"

    def _block(self, address: int, size: int) -> int:
        """Where the allocation starts that holds these bytes."""
        for start, block in self._blocks.items():
            if start <= address < start + block.nbytes:
                left = start + block.nbytes - address
                assert size <= left, f"{size} bytes at {address:#x}, where only {left} are allocated"
                return start
        raise AssertionError(f"{address:#x} is not allocated, or was freed")

    def _pinned_block(self, array: NDArray[Any]) -> int:
        """Where the page-locked memory starts that holds an array."""
        assert array.flags.c_contiguous, "copying an array that is not C-contiguous"
        for start, block in self._pinned.items():
            if start <= array.ctypes.data < start + block.nbytes:
                left = start + block.nbytes - array.ctypes.data
                assert array.nbytes <= left, f"{array.nbytes} bytes of host memory, of which only {left} are pinned"
                return start
        raise AssertionError("copying from or to host memory that is not page-locked, or no longer")
