"""CUDA's two providers: what both do, and which of them is taken."""

import sys
from typing import Any

import pytest

from efdn.errors import DeviceMemoryError, EngineError, MissingExtraError, UsageError
from engines.cuda.device import CudaDevice, cuda_version_text
from engines.cuda.open import open_device
from tests.conftest import installed
from tests.cuda_modules import driver, elsewhere, provider, round_trip, runtime
from tests.fakes.cuda_runtime import FakeRuntime, cudaError_t
from tests.fakes.pycuda_driver import FakeDriver

# Fixtures are taken by name.
__all__ = ["driver", "provider", "runtime"]

needs_bindings = pytest.mark.skipif(not installed("cuda"), reason="cuda-bindings are not installed")


def test_a_device_says_what_it_is_and_gives_back_all_it_took(provider: tuple[CudaDevice, Any]) -> None:
    device, below = provider
    assert (device.name, device.architecture, device.cuda_version) == ("Fake RTX", "sm86", "12.9")
    assert device.memory() == (1 << 20, 1 << 20)
    assert device.stream != 0
    round_trip(device)
    assert below.held() == {"stream": 1}
    device.close()
    device.close()
    assert below.held() == {}


def test_any_thread_may_use_a_device_drop_its_marks_and_close_it(provider: tuple[CudaDevice, Any]) -> None:
    device, below = provider
    elsewhere(lambda: round_trip(device))
    marks = [device.mark()]
    elsewhere(marks.clear)
    elsewhere(device.close)
    assert below.held() == {}
    assert getattr(below, "lost", []) == []


def test_results_may_outlive_the_device(provider: tuple[CudaDevice, Any]) -> None:
    device, below = provider
    late = device.pin(8)
    late[:] = 7
    device.close()
    assert late.tolist() == [7] * 8
    elsewhere(lambda: device.unpin(late))
    assert below.held() == {}


def test_too_little_memory_on_the_gpu_tells_what_is_needed_and_free(provider: tuple[CudaDevice, Any]) -> None:
    device, _ = provider
    with pytest.raises(DeviceMemoryError, match="3 MB are needed, 1 MB of 1 MB are free") as raised:
        device.allocate(3_000_000)
    assert (raised.value.needed_bytes, raised.value.free_bytes) == (3_000_000, 1 << 20)


def test_too_little_memory_on_the_host_is_told_from_too_little_on_the_gpu(provider: tuple[CudaDevice, Any]) -> None:
    device, below = provider
    below.failures |= {"cudaMallocHost": cudaError_t.cudaErrorMemoryAllocation, "pagelocked_empty": "out of memory"}
    with pytest.raises(EngineError, match="5 MB of the host's memory could not be had") as raised:
        device.pin(5_000_000)
    assert not isinstance(raised.value, DeviceMemoryError)


def test_a_kernel_that_crashed_is_told_by_the_next_wait(provider: tuple[CudaDevice, Any]) -> None:
    device, below = provider
    below.failures |= {"cudaStreamSynchronize": cudaError_t.cudaErrorIllegalAddress, "synchronize": "IllegalAddress"}
    with pytest.raises(EngineError, match="IllegalAddress"):
        device.wait()


def test_version_numbers_read_as_cuda_writes_them() -> None:
    assert [cuda_version_text(number) for number in (12090, 13000, 11080)] == ["12.9", "13.0", "11.8"]


def test_cuda_bindings_come_first(runtime: FakeRuntime, driver: FakeDriver) -> None:
    assert open_device().provider == "cuda-bindings"
    assert driver.retained == 0


def test_pycuda_serves_where_cuda_bindings_are_missing(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert open_device().provider == "pycuda"
    with pytest.raises(MissingExtraError, match="cuda-bindings"):
        open_device("cuda-bindings")


def test_without_either_the_first_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cuda.bindings.runtime", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"needs cuda-bindings.*extra gpu"):
        open_device()


def test_a_missing_gpu_is_not_looked_for_again_with_the_other(runtime: FakeRuntime, driver: FakeDriver) -> None:
    runtime.gpus = 0
    with pytest.raises(EngineError, match="CUDA finds none"):
        open_device()
    assert driver.retained == 0


def test_an_unknown_provider_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no CUDA bindings 'cupy': expected cuda-bindings or pycuda"):
        open_device("cupy")
