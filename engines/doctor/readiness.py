"""What engines need, and whether it is there: known without running them."""

from __future__ import annotations

from collections.abc import Callable

from engines.doctor.bindings import bindings_work
from engines.doctor.machine import Machine
from engines.doctor.onnx_runtimes import cuda_fault, fitting_extra
from engines.doctor.remedies import install_extra
from engines.doctor.tensorrts import TITLES, best_extra, fault_of
from engines.registry import EngineEntry
from engines.trt.flavours import FLAVOURS

Fault = tuple[str, "str | None"]
"""A reason and a remedy."""

NO_GPU = "needs an NVIDIA GPU with its driver, and none is usable here"
FOR_GPUS = ("gpu", "rtx")
"""Extras whose engines run on a GPU of NVIDIA's, and nowhere else."""


def needs_gpu(entry: EngineEntry) -> bool:
    """Whether an engine runs on a GPU alone."""
    return entry.extra in FOR_GPUS


def engine_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    """Why an engine cannot run here, and what to do; None where all it needs is here."""
    if needs_gpu(entry) and machine.gpu is None:
        return NO_GPU, None
    known = (check for name, check in FAULTS.items() if entry.name == name or entry.name.startswith(f"{name}-"))
    return next(known, _packages_fault)(machine, entry)


def ready_runtimes(machine: Machine) -> tuple[str, ...]:
    """Flavours of TensorRT that run engines here, the one for RTX first."""
    if machine.gpu is None or not bindings_work(machine):
        return ()
    return tuple(runtime for runtime in FLAVOURS if fault_of(machine, runtime) is None)


def build_command(machine: Machine, runtime: str) -> str:
    """The command that builds an engine for this machine, and what has to be installed before it."""
    lacking = machine.missing_for("export")
    first = f"{install_extra(machine, 'export')}\n" if lacking else ""
    if runtime == "tensorrt":
        return f"{first}efdn-export trt --fp16 --runtime tensorrt"
    assert machine.gpu is not None
    return f"{first}efdn-export trt --fp16 --gpu-arch {machine.gpu.architecture}"


def _tensorrt_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    if ready_runtimes(machine):
        return None
    runtime = next(name for name, (_, extra) in FLAVOURS.items() if extra == best_extra(machine))
    working = [name for name in FLAVOURS if fault_of(machine, name) is None]
    if working:
        return "CUDA for Python does not reach the GPU", install_extra(machine, FLAVOURS[working[0]][1])
    fault = fault_of(machine, runtime)
    assert fault is not None
    return f"TensorRT {TITLES[runtime]} is what suits this GPU: {fault[0]}", fault[1]


def _cuda_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    return _module_fault(machine, "onnxruntime", "gpu") or cuda_fault(machine)


def _cpu_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    return _module_fault(machine, "onnxruntime", fitting_extra(machine))


def _torch_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    fault = _module_fault(machine, "torch", entry.extra)
    if fault is None and "safetensors" not in machine.distributions:
        return "safetensors is not installed", install_extra(machine, entry.extra)
    return fault


def _openvino_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    return _module_fault(machine, "openvino", entry.extra)


def _packages_fault(machine: Machine, entry: EngineEntry) -> Fault | None:
    missing = machine.missing_for(entry.extra)
    return (f"{', '.join(missing)} missing", install_extra(machine, entry.extra)) if missing else None


def _module_fault(machine: Machine, module: str, extra: str) -> Fault | None:
    package = machine.packages.get(module)
    if package is None:
        return f"{module} is not installed", install_extra(machine, extra)
    if package.failure is not None:
        return f"{module} is installed but does not load ({package.failure})", f"see {module} above"
    return None


FAULTS: dict[str, Callable[[Machine, EngineEntry], Fault | None]] = {
    "tensorrt": _tensorrt_fault,
    "onnxruntime-cuda": _cuda_fault,
    "onnxruntime-tensorrt": _cuda_fault,
    "onnxruntime-cpu": _cpu_fault,
    "pytorch": _torch_fault,
    "openvino": _openvino_fault,
}
"""By engine and its variants; of others the packages of their extra are looked at."""
