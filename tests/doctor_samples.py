"""Machines that are made up, from one with nothing to one with everything, and how tests change them."""

from dataclasses import replace
from typing import Any

from engines.doctor.examine import findings_on
from engines.doctor.finding import Finding
from engines.doctor.machine import CudaGpu, Driver, Machine, Package
from engines.doctor.readiness import engine_fault
from engines.doctor.versions import parse_requirements
from engines.nvidia_smi import GpuState
from engines.registry import find_engine

REQUIREMENTS = parse_requirements(
    [
        "numpy<3,>=1.26",
        'onnxruntime<2,>=1.23; extra == "cpu"',
        'onnxruntime-gpu<2,>=1.23; sys_platform != "darwin" and extra == "gpu"',
        'tensorrt<12,>=8.6; sys_platform != "darwin" and extra == "gpu"',
        'cuda-bindings<14,>=12.8; sys_platform != "darwin" and extra == "gpu"',
        'tensorrt-rtx<2,>=1.4; sys_platform != "darwin" and extra == "rtx"',
        'cuda-bindings<14,>=12.8; sys_platform != "darwin" and extra == "rtx"',
        'torch<3,>=2.4; extra == "export"',
        'onnx<2,>=1.18; extra == "export"',
    ],
    platform="linux",
)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
EXPORT = {"torch": "2.13.0", "onnx": "1.23.2", "safetensors": "0.8.0"}


def driver(name: str = "NVIDIA GeForce RTX 4090", capability: str = "8.9", cuda: int = 13000) -> Driver:
    return Driver(cuda_version=cuda, gpus=(CudaGpu(name=name, capability=capability),))


def bindings(status: int = 0, name: str = "cudaSuccess", gpus: int = 1) -> Package:
    return Package(facts={"runtime": 13050, "status": status, "status_name": name, "gpus": gpus})


def runtime(cuda: str | None = None, missing: tuple[str, ...] = ()) -> Package:
    providers = [CUDA, CPU] if cuda else [CPU]
    return Package(facts={"version": "1.31.1", "cuda": cuda, "providers": providers, "missing": list(missing)})


def torch(**changes: Any) -> Package:
    facts = {"version": "2.13.0+cu130", "cuda": "13.0", "hip": None, "available": True, "reason": None}
    return Package(facts={**facts, "cudnn": 91002, "architectures": ["sm_86", "sm_90", "compute_120"], **changes})


def flavour(version: str) -> Package:
    return Package(facts={"version": version, "builder": True})


BARE = Machine(
    requirements=REQUIREMENTS,
    distributions={"efdn": "0.1.0", "onnxruntime": "1.32.0"},
    packages={"onnxruntime": runtime()},
    nvidia_on_bus=False,
)

FULL = replace(
    BARE,
    driver=driver(),
    nvidia_on_bus=True,
    smi_gpus=(
        GpuState(
            name="NVIDIA GeForce RTX 4090",
            driver_version="580.65",
            memory_total_bytes=24 << 30,
            memory_used_bytes=1 << 30,
        ),
    ),
    distributions={
        "efdn": "0.1.0",
        "onnxruntime-gpu": "1.31.1",
        "tensorrt": "11.4.0.106",
        "tensorrt-cu13": "11.4.0.106",
        "tensorrt-rtx": "1.7.1.116",
        "tensorrt-rtx-cu13": "1.7.1.116",
        "cuda-bindings": "13.5.0",
        "nvidia-cudnn-cu13": "9.27.0.42",
        **EXPORT,
    },
    packages={
        "onnxruntime": runtime("13.0"),
        "cuda": bindings(),
        "torch": torch(),
        "tensorrt": flavour("11.4.0.106"),
        "tensorrt_rtx": flavour("1.7.1.116"),
    },
)


def found(machine: Machine, topic: str, name: str) -> Finding:
    (finding,) = (finding for finding in findings_on(machine) if (finding.topic, finding.name) == (topic, name))
    return finding


def with_packages(machine: Machine, **changes: Package | None) -> Machine:
    packages = {**machine.packages, **changes}
    return replace(machine, packages={name: package for name, package in packages.items() if package is not None})


def with_distributions(machine: Machine, **changes: str | None) -> Machine:
    changed = {**machine.distributions, **{name.replace("_", "-"): version for name, version in changes.items()}}
    return replace(machine, distributions={name: version for name, version in changed.items() if version is not None})


def fault(machine: Machine, engine: str) -> tuple[str, str | None]:
    result = engine_fault(machine, find_engine(engine))
    assert result is not None
    return result
