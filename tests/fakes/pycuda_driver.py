"""`pycuda.driver` without a GPU, with PyCUDA's rules about contexts and threads.

A call needs a context that PyCUDA has pushed on its thread. What is destroyed on a
thread other than the context's, where it is not current, is lost: PyCUDA only warns.
"""

from __future__ import annotations

import ctypes
import threading
from types import ModuleType
from typing import Any

import numpy as np

PYCUDA_2026_1 = {
    "Context": {"push": 1, "pop": 0},
    "Device": {"compute_capability": 1, "name": 1, "retain_primary_context": 1},
    "DeviceAllocation": {"free": 1},
    "Event": {"record": 2, "time_since": 2},
    "PagelockedHostAllocation": {"free": 1},
    "Stream": {"synchronize": 1},
    "functions": {
        "get_driver_version": 0,
        "init": 0,
        "mem_alloc": 1,
        "mem_get_info": 0,
        "memcpy_dtoh_async": 3,
        "memcpy_htod_async": 3,
        "pagelocked_empty": 2,
    },
}
"""Methods and functions that the provider uses, with the number of arguments that it gives, self included.

Taken down from PyCUDA 2026.1, built from source. `Stream` has an attribute `handle`,
`MemoryError` and `LogicError` derive from `Error`, `DeviceAllocation` turns into an int.
"""


class Error(Exception):
    pass


class MemoryError(Error):  # noqa: A001
    pass


class LogicError(Error):
    pass


class Context:
    """A context, which belongs to the thread that made it."""

    stacks = threading.local()

    def __init__(self, driver: FakeDriver) -> None:
        self.driver, self.thread = driver, threading.get_ident()

    @classmethod
    def stack(cls) -> list[Context]:
        if not hasattr(cls.stacks, "contexts"):
            cls.stacks.contexts = []
        contexts: list[Context] = cls.stacks.contexts
        return contexts

    def push(self) -> None:
        self.driver.raise_as_told("push")
        self.stack().append(self)

    @staticmethod
    def pop() -> None:
        Context.stack().pop()


class Resource:
    """What belongs to a context: the one that is current as it is made."""

    kind = ""

    def __init__(self, driver: FakeDriver) -> None:
        self._driver, self._live = driver, False
        self._context = driver.current()
        self._live = True
        driver.live[self.kind] = driver.live.get(self.kind, 0) + 1

    def free(self) -> None:
        if not self._live:
            raise LogicError("free failed: invalid resource handle")
        self._live = False
        here = Context.stack()[-1:] == [self._context]
        if not here and threading.get_ident() != self._context.thread:
            self._driver.lost.append(self.kind)
        else:
            self._driver.live[self.kind] -= 1

    def __del__(self) -> None:
        if self._live:
            self.free()


class DeviceAllocation(Resource):
    kind = "memory"

    def __init__(self, driver: FakeDriver, size: int) -> None:
        super().__init__(driver)
        self.block = (ctypes.c_uint8 * size)()
        driver.blocks[int(self)] = self.block

    def __int__(self) -> int:
        return ctypes.addressof(self.block)


class PagelockedHostAllocation(Resource):
    kind = "pinned"

    def __init__(self, driver: FakeDriver, size: int) -> None:
        super().__init__(driver)
        self.block = (ctypes.c_uint8 * size)()
        self.__array_interface__ = {
            "data": (ctypes.addressof(self.block), False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }


class Stream(Resource):
    kind = "stream"

    def __init__(self, driver: FakeDriver, flags: int) -> None:
        super().__init__(driver)
        assert flags == 1
        self.handle = id(self)

    def synchronize(self) -> None:
        self._driver.current()
        self._driver.raise_as_told("synchronize")


class Event(Resource):
    kind = "event"
    ms = 0.0

    def record(self, stream: Stream) -> None:
        self._driver.current()
        self._driver.now_ms += 1.5
        self.ms = self._driver.now_ms

    def time_since(self, start: Event) -> float:
        self._driver.current()
        return self.ms - start.ms


class Device:
    def __init__(self, driver: FakeDriver, number: int) -> None:
        assert number == 0
        self._driver = driver

    def name(self) -> str:
        return "Fake RTX"

    def compute_capability(self) -> tuple[int, int]:
        return (8, 6)

    def retain_primary_context(self) -> Context:
        self._driver.retained += 1
        return Context(self._driver)


class FakeDriver(ModuleType):
    """The module.

    Attributes:
        failures: messages of errors by function.
        live: how much there is of each kind that was not given back.
        lost: kinds of what was destroyed where it could not be.
        retained: how often the primary context was.
    """

    Error, MemoryError, LogicError = Error, MemoryError, LogicError

    def __init__(self, *, total_bytes: int = 1 << 20) -> None:
        super().__init__("pycuda.driver")
        self.total_bytes = total_bytes
        self.failures: dict[str, str] = {}
        self.live: dict[str, int] = {}
        self.lost: list[str] = []
        self.blocks: dict[int, Any] = {}
        self.retained, self.now_ms = 0, 0.0

    def held(self) -> dict[str, int]:
        """How many of each kind are live, where there are any."""
        return {kind: number for kind, number in self.live.items() if number}

    def raise_as_told(self, name: str) -> None:
        if name in self.failures:
            raise LogicError(self.failures[name])

    def current(self) -> Context:
        if not Context.stack():
            raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
        return Context.stack()[-1]

    def init(self) -> None:
        self.raise_as_told("init")

    def get_driver_version(self) -> int:
        return 12090

    def Device(self, number: int) -> Device:  # noqa: N802
        return Device(self, number)

    def Stream(self, flags: int) -> Stream:  # noqa: N802
        return Stream(self, flags)

    def Event(self) -> Event:  # noqa: N802
        return Event(self)

    def mem_get_info(self) -> tuple[int, int]:
        self.current()
        return self.total_bytes, self.total_bytes

    def mem_alloc(self, size: int) -> DeviceAllocation:
        self.current()
        if size > self.total_bytes:
            raise MemoryError("cuMemAlloc failed: out of memory")
        return DeviceAllocation(self, size)

    def pagelocked_empty(self, shape: int, dtype: Any) -> np.ndarray:
        self.current()
        if "pagelocked_empty" in self.failures:
            raise MemoryError(self.failures["pagelocked_empty"])
        return np.asarray(PagelockedHostAllocation(self, shape))

    def memcpy_htod_async(self, dest: int, src: np.ndarray, stream: Resource) -> None:
        self.current()
        assert type(dest) is int
        assert ctypes.sizeof(self.blocks[dest]) >= src.nbytes
        ctypes.memmove(dest, src.ctypes.data, src.nbytes)

    def memcpy_dtoh_async(self, dest: np.ndarray, src: int, stream: Resource) -> None:
        self.current()
        assert type(src) is int
        assert ctypes.sizeof(self.blocks[src]) >= dest.nbytes
        ctypes.memmove(dest.ctypes.data, src, dest.nbytes)


CLASSES = (Context, Device, DeviceAllocation, Event, PagelockedHostAllocation, Stream)
