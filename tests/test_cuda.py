"""CUDA's two providers, against fakes of their modules that are held to what the real ones have."""

import gc
import importlib
import inspect
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from efdn.errors import DeviceMemoryError, EngineError, MissingExtraError, UsageError
from engines.cuda import bindings, pycuda
from engines.cuda.bindings import BindingsDevice
from engines.cuda.device import CudaDevice, cuda_version_text
from engines.cuda.open import PROVIDERS, open_device
from tests.conftest import has_gpu, installed
from tests.fakes import cuda_runtime, pycuda_driver
from tests.fakes.cuda_runtime import FakeRuntime, cudaError_t
from tests.fakes.pycuda_driver import PYCUDA_2026_1, Context, FakeDriver

needs_bindings = pytest.mark.skipif(not installed("cuda"), reason="cuda-bindings are not installed")


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


# cuda-bindings


@needs_bindings
@pytest.mark.filterwarnings("default")
def test_the_fake_runtime_has_what_the_real_one_has() -> None:
    real = importlib.import_module("cuda.bindings.runtime")
    source = Path(bindings.__file__).read_text("utf-8")
    used = set(re.findall(r'"(cuda[A-Z]\w+)"', source)) | set(re.findall(r"_cuda\.(cuda\w+)", source))
    assert len(used) > 20
    fake = FakeRuntime()
    for name in sorted(used):
        ours, theirs = getattr(fake, name), getattr(real, name)
        if inspect.ismethod(ours):
            assert len(inspect.signature(ours).parameters) == len(inspect.signature(theirs).parameters), name
    for kind in (cuda_runtime.cudaError_t, cuda_runtime.cudaMemcpyKind, cuda_runtime.cudaStreamCaptureMode):
        theirs = getattr(real, kind.__name__)
        assert {member.name: int(member) for member in kind} == {
            member.name: int(getattr(theirs, member.name)) for member in kind
        }
    assert fake.cudaStreamNonBlocking == real.cudaStreamNonBlocking
    assert cudaError_t(bindings.OUT_OF_MEMORY) is cudaError_t.cudaErrorMemoryAllocation
    assert cudaError_t(bindings.OLD_DRIVER) is cudaError_t.cudaErrorInsufficientDriver


@needs_bindings
@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_the_real_runtime_takes_the_arguments_and_names_the_missing_gpu() -> None:
    with pytest.raises(EngineError, match="no usable NVIDIA GPU here"):
        BindingsDevice()
    device = object.__new__(BindingsDevice)
    device._cuda = importlib.import_module("cuda.bindings.runtime")
    device._pinned, device.stream = {}, 77
    array = np.zeros(4, np.float32)
    for call in (
        device.memory,
        lambda: device.allocate(8),
        lambda: device.pin(8),
        lambda: device.upload(4096, array),
        lambda: device.download(array, 4096),
        device.wait,
        device.mark,
        lambda: device.record(lambda: None),
        lambda: device.replay(device._cuda.cudaGraphExec_t(5)),
    ):
        # An argument of the wrong kind would be a TypeError, raised before CUDA is asked.
        with pytest.raises(EngineError, match="failed"):
            call()


@pytest.mark.parametrize(
    ("status", "driver_version", "reason"),
    [
        (cudaError_t.cudaErrorInsufficientDriver, 0, "CUDA error 35, cudaErrorInsufficientDriver"),
        (cudaError_t.cudaErrorInsufficientDriver, 12040, r"CUDA 12\.4, older than .* 'cuda-bindings==12\.\*'"),
        (cudaError_t.cudaErrorNoDevice, 13000, "CUDA error 100, cudaErrorNoDevice"),
    ],
)
def test_no_driver_an_old_one_and_no_gpu_are_told_apart(
    runtime: FakeRuntime, status: cudaError_t, driver_version: int, reason: str
) -> None:
    runtime.driver = driver_version
    runtime.failures["cudaGetDeviceCount"] = status
    with pytest.raises(EngineError, match=rf"no usable NVIDIA GPU here \(.*{reason}"):
        BindingsDevice()


def test_a_count_of_no_gpus_is_no_gpu(runtime: FakeRuntime) -> None:
    runtime.gpus = 0
    with pytest.raises(EngineError, match="CUDA finds none"):
        BindingsDevice()


def test_bindings_that_raise_without_a_driver_mean_no_gpu_too(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    monkeypatch.setattr(runtime, "cudaGetDeviceCount", missing, raising=False)
    with pytest.raises(EngineError, match=r"no usable NVIDIA GPU here \(Failed to dlopen libcuda.so.1\)"):
        BindingsDevice()


def test_a_function_that_the_driver_lacks_is_an_engine_error(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = BindingsDevice()

    def missing() -> None:
        raise RuntimeError('Function "cuMemGetInfo" not found')

    monkeypatch.setattr(runtime, "cudaMemGetInfo", missing, raising=False)
    with pytest.raises(EngineError, match='cudaMemGetInfo failed: Function "cuMemGetInfo" not found'):
        device.memory()


def test_a_recording_is_made_replayed_and_forgotten_with_nothing_left(runtime: FakeRuntime) -> None:
    device = BindingsDevice()
    capturing: list[bool] = []
    graph = device.record(lambda: capturing.append(runtime.capturing))
    assert capturing == [True]
    assert not runtime.capturing
    assert runtime.held() == {"stream": 1, "exec": 1}
    device.replay(graph)
    device.forget(graph)
    assert runtime.held() == {"stream": 1}


@pytest.mark.parametrize("failing", ["launch", "cudaStreamEndCapture", "cudaGraphInstantiate", "launch and end"])
def test_a_recording_that_fails_has_ended_and_leaves_nothing(runtime: FakeRuntime, failing: str) -> None:
    device = BindingsDevice()
    if failing.startswith("cuda") or failing == "launch and end":
        name = failing if failing.startswith("cuda") else "cudaStreamEndCapture"
        runtime.failures[name] = cudaError_t.cudaErrorStreamCaptureInvalidated

    def launch() -> None:
        if "launch" in failing:
            raise EngineError("the network failed")

    expected = "the network failed" if "launch" in failing else f"{failing} failed with CUDA error 901"
    with pytest.raises(EngineError, match=expected):
        device.record(launch)
    assert not runtime.capturing
    assert runtime.held() == {"stream": 1}


def test_an_event_that_cannot_be_recorded_is_destroyed(runtime: FakeRuntime) -> None:
    device = BindingsDevice()
    runtime.failures["cudaEventRecord"] = cudaError_t.cudaErrorIllegalAddress
    with pytest.raises(EngineError, match="cudaEventRecord"):
        device.mark()
    gc.collect()
    assert runtime.held() == {"stream": 1}


def test_after_a_crash_everything_can_still_be_given_back(runtime: FakeRuntime) -> None:
    device = BindingsDevice()
    address, memory, mark, graph = device.allocate(4), device.pin(4), device.mark(), device.record(lambda: None)
    runtime.crash = cudaError_t.cudaErrorIllegalAddress
    with pytest.raises(EngineError, match="cudaErrorIllegalAddress"):
        device.wait()
    del mark
    device.forget(graph)
    device.free(address)
    device.unpin(memory)
    device.close()
    assert device.stream == 0


def test_what_is_given_back_twice_is_an_error(runtime: FakeRuntime) -> None:
    device = BindingsDevice()
    address = device.allocate(4)
    device.free(address)
    with pytest.raises(EngineError, match="cudaFree failed with CUDA error 1"):
        device.free(address)


# PyCUDA


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


# Which provider


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
