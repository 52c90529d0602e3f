"""CUDA through cuda-bindings, against a fake that is held to the real module."""

import gc
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from efdn.errors import EngineError
from engines.cuda import bindings
from engines.cuda.bindings import BindingsDevice
from tests.conftest import has_gpu, installed
from tests.cuda_modules import driver, provider, runtime
from tests.fakes import cuda_runtime
from tests.fakes.cuda_runtime import FakeRuntime, cudaError_t

# Fixtures are taken by name.
__all__ = ["driver", "provider", "runtime"]

needs_bindings = pytest.mark.skipif(not installed("cuda"), reason="cuda-bindings are not installed")


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
