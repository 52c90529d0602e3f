"""Fakes in place of both providers' modules, and what tests of the providers share."""

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engines.cuda.device import CudaDevice
from engines.cuda.open import PROVIDERS, open_device
from tests.fakes.cuda_runtime import FakeRuntime
from tests.fakes.pycuda_driver import FakeDriver


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    """In place of `cuda.bindings.runtime`."""
    fake = FakeRuntime()
    for name, module in {
        "cuda": ModuleType("cuda"),
        "cuda.bindings": ModuleType("cuda.bindings"),
        fake.__name__: fake,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    return fake


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """In place of `pycuda.driver`."""
    fake = FakeDriver()
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    return fake


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest, runtime: FakeRuntime, driver: FakeDriver) -> tuple[CudaDevice, Any]:
    """A device, and the fake below it."""
    return open_device(request.param), runtime if request.param == "cuda-bindings" else driver


def elsewhere(call: Callable[[], None]) -> None:
    """Calls on another thread."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def round_trip(device: CudaDevice) -> None:
    """Uses all that both providers have."""
    address, up, down = device.allocate(48), device.pin(48), device.pin(48)
    up[:], down[:] = np.arange(48), 0
    before = device.mark()
    device.upload(address, up.view(np.float32).reshape(3, 4))
    device.download(down.view(np.float32), address)
    after = device.mark()
    device.wait()
    assert down.tolist() == list(range(48))
    assert after.ms_since(before) == 1.5
    device.free(address)
    device.unpin(up)
    device.unpin(down)
