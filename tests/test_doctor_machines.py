"""What the doctor says of machines that are made up: states, reasons and remedies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.doctor.examine import findings_on
from engines.doctor.finding import State
from engines.doctor.machine import CacheState, Driver, Package
from engines.doctor.readiness import engine_fault, ready_runtimes
from engines.doctor.tensorrts import RTX_SERVES, serves
from engines.registry import find_engine
from export.trt_builders import RTX_TARGETS
from tests.doctor_samples import (
    BARE,
    FULL,
    bindings,
    driver,
    fault,
    flavour,
    found,
    runtime,
    torch,
    with_distributions,
    with_packages,
)


def test_a_machine_with_everything_has_nothing_to_mend() -> None:
    assert [finding for finding in findings_on(FULL) if finding.state in (State.PROBLEM, State.NOTE)] == []
    assert ready_runtimes(FULL) == ("rtx", "tensorrt")
    for engine in ("tensorrt", "onnxruntime-cuda", "onnxruntime-cpu", "pytorch"):
        assert engine_fault(FULL, find_engine(engine)) is None
    gpu = found(FULL, "driver and GPU", "GPU 0").text
    assert gpu == "NVIDIA GeForce RTX 4090, compute capability 8.9 (sm89), 24.0 GiB, 1.0 GiB in use"
    assert found(FULL, "driver and GPU", "driver").text == "580.65, serves CUDA up to 13.0"
    assert "9.10.2 within PyTorch" in found(FULL, "cuDNN", "cuDNN").text


def test_without_a_gpu_nothing_is_asked_for_but_what_helps() -> None:
    assert not [finding for finding in findings_on(BARE) if finding.state is State.PROBLEM]
    assert found(BARE, "driver and GPU", "driver").remedy is None
    # The usual advice, to install ONNX Runtime for CUDA, would be of no use here.
    for engine in ("tensorrt", "onnxruntime-cuda"):
        assert fault(BARE, engine) == ("needs an NVIDIA GPU with its driver, and none is usable here", None)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"nvidia_on_bus": True}, "install NVIDIA driver 580 or newer (Ubuntu: sudo"),
        ({"nvidia_on_bus": True, "container": True}, "docker run --gpus all"),
        (
            {"nvidia_on_bus": None, "system": "Windows"},
            "only if there is an NVIDIA GPU: install NVIDIA driver 580 or newer",
        ),
        ({"nvidia_on_bus": False, "subsystem": True}, "in Windows, not in WSL"),
    ],
)
def test_a_missing_driver_is_mended_where_it_belongs(changes: dict[str, Any], remedy: str) -> None:
    finding = found(replace(BARE, **changes), "driver and GPU", "driver")
    assert finding.remedy is not None
    assert remedy in finding.remedy
    assert (finding.state is State.PROBLEM) == bool(changes["nvidia_on_bus"])


@pytest.mark.parametrize(
    ("status", "reason"), [(803, "kernel module and library of the driver differ"), (999, "lost its GPU"), (7, "CUDA")]
)
def test_what_the_driver_answers_is_explained(status: int, reason: str) -> None:
    finding = found(replace(FULL, driver=Driver(status=status, cuda_version=13000)), "driver and GPU", "driver")
    assert finding.state is State.PROBLEM
    assert f"cuInit answers {status}" in finding.text
    assert reason in finding.text
    assert finding.remedy


def test_hidden_gpus_are_told_from_missing_ones() -> None:
    hidden = replace(FULL, driver=Driver(status=100, cuda_version=13000), visible_devices="")
    assert "CUDA_VISIBLE_DEVICES is '': unset it" in str(found(hidden, "driver and GPU", "driver").remedy)
    none = replace(BARE, driver=Driver(status=100, cuda_version=13000))
    assert found(none, "driver and GPU", "driver").state is State.ABSENT


def test_a_driver_that_is_too_old_is_named_wherever_it_matters() -> None:
    old = with_packages(
        replace(FULL, driver=driver(cuda=12040)),
        cuda=bindings(35, "cudaErrorInsufficientDriver", 0),
        torch=torch(available=False, reason="RuntimeError: The NVIDIA driver on your system is too old"),
    )
    for topic, name in (
        ("CUDA for Python", "cuda-bindings"),
        ("TensorRT", "standard"),
        ("TensorRT", "for RTX"),
        ("ONNX Runtime", "CUDA"),
        ("PyTorch", "torch"),
    ):
        finding = found(old, topic, name)
        assert finding.state is State.PROBLEM, finding
        assert "the driver serves 12.4" in finding.text
        assert "driver 580 or newer" in str(finding.remedy)
    assert 'pip install "cuda-bindings<13"' in str(found(old, "CUDA for Python", "cuda-bindings").remedy)
    assert ready_runtimes(old) == ()
    assert "driver 580 or newer" in str(fault(old, "onnxruntime-cuda")[1])
    assert engine_fault(old, find_engine("onnxruntime-cpu")) is None


def test_hopper_is_not_served_by_tensorrt_for_rtx() -> None:
    hopper = with_packages(replace(FULL, driver=driver("NVIDIA H100", "9.0")), tensorrt=None)
    rtx, standard = found(hopper, "TensorRT", "for RTX"), found(hopper, "TensorRT", "standard")
    assert rtx.state is State.NOTE
    assert rtx.text == "1.7.1.116 does not serve NVIDIA H100 (sm90)"
    assert "take TensorRT standard instead:" in str(rtx.remedy)
    assert str(standard.remedy).splitlines()[-1] == 'pip install ".[gpu]"'
    reason, remedy = fault(hopper, "tensorrt")
    assert reason == "TensorRT standard is what suits this GPU: not installed"
    assert str(remedy).splitlines()[-1] == 'pip install ".[gpu]"'
    assert ready_runtimes(with_packages(hopper, tensorrt=flavour("11.4.0.106"))) == ("tensorrt",)


@pytest.mark.parametrize(
    ("runtime", "number", "version", "expected"),
    [
        ("rtx", 90, None, False),
        ("rtx", 89, None, True),
        ("tensorrt", 90, "8.6.1", True),
        ("tensorrt", 120, "10.7.0", False),
        ("tensorrt", 120, "10.8.0.43", True),
        ("tensorrt", 70, "10.4.0", True),
        ("tensorrt", 70, "11.4.0.106", False),
    ],
)
def test_which_tensorrt_serves_which_gpu(runtime: str, number: int, version: str | None, expected: bool) -> None:
    assert serves(runtime, number, version) is expected


def test_gpus_of_tensorrt_for_rtx_are_those_that_engines_are_built_for() -> None:
    assert [f"sm{number}" for number in RTX_SERVES] == list(RTX_TARGETS)


def test_a_tensorrt_that_does_not_load_or_has_no_libraries_is_installed_anew() -> None:
    broken = with_packages(FULL, tensorrt=Package(failure="ImportError: libnvinfer.so.11: cannot open"))
    finding = found(broken, "TensorRT", "standard")
    assert finding.state is State.PROBLEM
    assert "libnvinfer.so.11: cannot open" in finding.text
    assert str(finding.remedy).startswith("pip uninstall -y tensorrt tensorrt-cu13\n")
    stub = with_packages(FULL, tensorrt=Package(facts={"version": "11.4.0.106", "builder": False}))
    assert found(stub, "TensorRT", "standard").text == "a wheel without its libraries"
    assert ready_runtimes(stub) == ("rtx",)


def test_versions_that_this_toolkit_does_not_take_are_refused() -> None:
    old = with_packages(FULL, tensorrt_rtx=flavour("1.3.0.35"))
    assert found(old, "TensorRT", "for RTX").text == "1.3.0.35, this toolkit takes <2,>=1.4"
    assert found(old, "TensorRT", "for RTX").state is State.PROBLEM
    assert found(with_distributions(BARE, onnxruntime="1.17.1"), "ONNX Runtime", "package").state is State.PROBLEM


def test_two_onnx_runtimes_are_a_problem_and_both_have_to_go() -> None:
    finding = found(with_distributions(FULL, onnxruntime="1.32.0"), "ONNX Runtime", "package")
    assert finding.state is State.PROBLEM
    assert "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are one module" in finding.text
    commands = str(finding.remedy).splitlines()
    assert commands[0] == "pip uninstall -y onnxruntime onnxruntime-gpu"
    assert commands[-1] == 'pip install ".[gpu]"'
    without_gpu = with_distributions(BARE, onnxruntime_directml="1.24.4")
    commands = str(found(without_gpu, "ONNX Runtime", "package").remedy).splitlines()
    assert commands[0] == "pip uninstall -y onnxruntime onnxruntime-directml"
    assert commands[-1] == 'pip install ".[cpu]"'


def test_no_remedy_brings_a_second_onnx_runtime() -> None:
    """The extra `gpu` has TensorRT, and an ONNX Runtime of its own."""
    hopper = with_packages(replace(FULL, driver=driver("NVIDIA H100", "9.0")), tensorrt=None, cuda=None)
    cpu_only = with_distributions(hopper, onnxruntime_gpu=None, onnxruntime="1.32.0")
    for finding in findings_on(cpu_only):
        if '".[gpu]"' in str(finding.remedy):
            assert "pip uninstall -y onnxruntime\n" in str(finding.remedy), finding
    assert "pip uninstall -y onnxruntime\n" in str(fault(cpu_only, "tensorrt")[1])
    assert "uninstall" not in str(fault(hopper, "tensorrt")[1])


def test_plug_ins_of_onnx_runtime_are_no_second_one() -> None:
    with_plugin = with_distributions(BARE, onnxruntime_ep_openvino="1.8.1", onnxruntime_extensions="0.15.2")
    assert found(with_plugin, "ONNX Runtime", "package").state is State.OK


def test_the_module_that_one_of_two_took_along_is_missed() -> None:
    finding = found(with_packages(BARE, onnxruntime=None), "ONNX Runtime", "package")
    assert finding.state is State.PROBLEM
    assert "the module is gone" in finding.text


def test_libraries_that_onnxruntime_gpu_cannot_load_are_named() -> None:
    lacking = with_packages(
        with_distributions(FULL, nvidia_cudnn_cu13=None), onnxruntime=runtime("13.0", ("libcudnn.so.9",))
    )
    lacking = with_packages(lacking, torch=None)
    finding = found(lacking, "ONNX Runtime", "CUDA")
    assert finding.state is State.PROBLEM
    assert finding.text == "built for CUDA 13.0; cannot load libcudnn.so.9"
    assert finding.remedy == 'pip install "onnxruntime-gpu[cuda,cudnn]"'
    assert found(lacking, "cuDNN", "cuDNN").text == "none; onnxruntime-gpu cannot load its cuDNN 9"
    assert fault(lacking, "onnxruntime-cuda") == ("cannot load libcudnn.so.9", finding.remedy)


def test_an_onnx_runtime_without_cuda_leaves_the_gpu_idle() -> None:
    idle = with_packages(with_distributions(FULL, onnxruntime_gpu=None, onnxruntime="1.32.0"), onnxruntime=runtime())
    finding = found(idle, "ONNX Runtime", "providers")
    assert (finding.state, finding.text) == (State.NOTE, "CPU: the GPU is left idle")
    assert str(finding.remedy).startswith("pip uninstall -y onnxruntime\n")


def test_builds_of_pytorch_are_held_against_the_gpu() -> None:
    cpu = torch(version="2.13.0+cpu", cuda=None, available=False, cudnn=None, architectures=[])
    assert found(with_packages(BARE, torch=cpu), "PyTorch", "torch").state is State.OK
    finding = found(with_packages(FULL, torch=cpu), "PyTorch", "torch")
    assert finding.state is State.NOTE
    assert "CPU build: it leaves NVIDIA GeForce RTX 4090 idle" in finding.text
    assert str(finding.remedy).startswith("pip uninstall -y torch\n")
    strange = replace(FULL, driver=driver("NVIDIA GeForce GTX 1080", "6.1"))
    assert "but not for NVIDIA GeForce GTX 1080 (sm61)" in found(strange, "PyTorch", "torch").text
    newer = replace(FULL, driver=driver("NVIDIA RTX 5090", "12.0"))
    assert found(newer, "PyTorch", "torch").state is State.OK


@pytest.mark.parametrize(
    ("system", "remedy"), [("Linux", 'export EFDN_CACHE="$HOME/efdn-cache"'), ("Windows", "setx EFDN_CACHE")]
)
def test_a_cache_that_cannot_be_written_can_be_moved(system: str, remedy: str) -> None:
    cache = CacheState(path="~/x", named_by_user=True, exists=True, writable=False)
    finding = found(replace(BARE, cache=cache, system=system), "cache folder", "folder")
    assert finding.state is State.PROBLEM
    assert finding.text.startswith("~/x (named by EFDN_CACHE) is no folder to write to")
    assert remedy in str(finding.remedy)


def test_sizes_of_the_cache_are_told_by_folder() -> None:
    folders = {"tensorrt-rtx": 3_500_000, "openvino": 1_000_000}
    cache = CacheState(path="~/x", named_by_user=False, exists=True, writable=True, folders=folders)
    machine = replace(BARE, cache=cache)
    assert found(machine, "cache folder", "folder").text == "~/x, 4.5 MB"
    assert found(machine, "cache folder", "tensorrt-rtx").text == "3.5 MB"


def test_a_damaged_model_is_named() -> None:
    finding = found(replace(BARE, broken_assets=("efdn_x4.onnx",)), "efdn", "packaged model")
    assert finding.state is State.PROBLEM
    assert "damaged: efdn_x4.onnx" in finding.text


def test_extras_are_told_with_what_they_lack() -> None:
    text = found(with_distributions(BARE, cuda_bindings="13.5.0", onnxruntime="1.1"), "efdn", "extras").text
    assert (
        text == "complete: none; not: cpu, gpu (lacks onnxruntime-gpu and tensorrt), rtx (lacks tensorrt-rtx), export"
    )


def test_every_remedy_that_installs_an_extra_says_where() -> None:
    empty = replace(FULL, packages={}, distributions={})
    for finding in findings_on(empty):
        lines = (finding.remedy or "").splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if ".[" in line:
                assert line.startswith('pip install ".['), finding
                assert before.endswith("in efdn's source folder:"), finding


def test_homes_do_not_get_into_findings() -> None:
    reason = f"OSError: {Path.home() / 'lib.so'}, /home/jane/lib.so, C:\\Users\\jane\\x.dll, 'C:\\\\Users\\\\jane\\\\y'"
    text = found(with_packages(FULL, tensorrt=Package(failure=reason)), "TensorRT", "standard").text
    assert "jane" not in text
    assert str(Path.home()) not in text
    assert "~/lib.so" in text
    assert "~\\x.dll" in text
