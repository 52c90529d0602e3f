"""CUDA through PyCUDA, against a fake that is held to a record of the real module."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from efdn.errors import EngineError
from engines.cuda import pycuda
from engines.cuda.open import open_device
from tests.conftest import installed
from tests.cuda_modules import driver, provider, round_trip, runtime
from tests.fakes import pycuda_driver
from tests.fakes.pycuda_driver import PYCUDA_2026_1, Context, FakeDriver

# Fixtures are taken by name.
__all__ = ["driver", "provider", "runtime"]

needs_bindings = pytest.mark.skipif(not installed("cuda"), reason="cuda-bindings are not installed")


def test_the_fake_driver_has_what_the_provider_uses_of_pycuda_2026_1() -> None:
    source = Path(pycuda.__file__).read_text("utf-8")
    fake = FakeDriver()
    used = set(re.findall(r"[_ ]driver\.(\w+)", source)) - {"driver"}
    classes = {kind.__name__ for kind in pycuda_driver.CLASSES}
    functions = PYCUDA_2026_1["functions"]
    assert used <= set(functions) | classes | {"Error", "MemoryError", "LogicError"}
    for name, arguments in functions.items():
        assert len(inspect.signature(getattr(fake, name)).parameters) == arguments, name
    for kind in pycuda_driver.CLASSES:
        for method, arguments in PYCUDA_2026_1[kind.__name__].items():
            assert len(inspect.signature(getattr(kind, method)).parameters) == arguments, (kind, method)


def test_pycuda_leaves_the_context_of_others_current(driver: FakeDriver) -> None:
    others = Context(driver)
    others.push()
    try:
        device = open_device("pycuda")
        round_trip(device)
        assert Context.stack() == [others]
        driver.failures["synchronize"] = "illegal address"
        with pytest.raises(EngineError, match="PyCUDA failed: illegal address"):
            device.wait()
        assert Context.stack() == [others]
        device.close()
    finally:
        others.pop()


def test_pycuda_retains_the_primary_context_once_for_all_devices(driver: FakeDriver) -> None:
    for _ in range(3):
        open_device("pycuda").close()
    assert driver.retained == 1


def test_pycuda_without_a_gpu_says_so(driver: FakeDriver) -> None:
    driver.failures["init"] = "cuInit failed: no CUDA-capable\ndevice is detected"
    with pytest.raises(EngineError, match=r"no usable NVIDIA GPU here \(cuInit failed: no CUDA-capable device is"):
        open_device("pycuda")


def test_pycuda_without_a_driver_says_so_rather_than_to_install_it_anew(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str) -> ModuleType:
        raise ImportError("libcuda.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("efdn.extras.import_module", fails)
    with pytest.raises(EngineError, match=r"no usable NVIDIA GPU here \(libcuda.so.1: cannot open") as raised:
        open_device("pycuda")
    assert "anew" not in str(raised.value)


def test_pycuda_that_is_broken_otherwise_is_to_be_installed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> ModuleType:
        raise ImportError("numpy.core.multiarray failed to import")

    monkeypatch.setattr("efdn.extras.import_module", fails)
    with pytest.raises(EngineError, match=r"multiarray.*install the extra 'pycuda' anew"):
        open_device("pycuda")


def test_pycuda_records_no_graphs(driver: FakeDriver) -> None:
    device = open_device("pycuda")
    assert not device.graphs
    with pytest.raises(EngineError, match="install cuda-bindings, or switch them off"):
        device.record(lambda: None)
