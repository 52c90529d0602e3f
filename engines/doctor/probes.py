"""Asks one package about itself, in a process of its own: `python -m engines.doctor.probes NAME`.

What is asked may print, hang or crash. The answer is one JSON object on the last
line of stdout.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Facts = dict[str, Any]

CUDA_PROVIDER = "CUDAExecutionProvider"
CUFFT_OF_CUDA = {12: 11, 13: 12}
"""Its major version is not that of CUDA."""

NO_DRIVER = {"driver": False}
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


def driver_facts() -> Facts:
    """NVIDIA's driver through its own library, which needs no package."""
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return NO_DRIVER
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    status = cuda.cuInit(0)
    gpus = []
    if status == 0:
        cuda.cuDeviceGetCount(ctypes.byref(count))
        gpus = [_gpu(cuda, index) for index in range(count.value)]
    return {"driver": True, "status": status, "cuda_version": version.value, "gpus": gpus}


def torch_facts() -> Facts:
    """Build and GPU of PyTorch."""
    import torch

    facts: Facts = {"version": str(torch.__version__), "cuda": torch.version.cuda, "hip": torch.version.hip}
    facts.update(available=torch.cuda.is_available(), reason=None, cudnn=None, architectures=[])
    if torch.version.cuda is None:
        return facts
    with suppress(Exception):  # It checks versions, and says so by raising.
        facts["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    if facts["available"]:
        facts["architectures"] = torch.cuda.get_arch_list()
    else:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except Exception as error:
            facts["reason"] = _line(error)
    return facts


def onnxruntime_facts() -> Facts:
    """Build and providers of ONNX Runtime, and libraries that its CUDA needs and does not find."""
    # As `engines.ort.runtime` does, which would import NumPy here: that may be what is broken.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    if hasattr(ort, "disable_telemetry_events"):
        ort.disable_telemetry_events()
    built_for = getattr(ort, "cuda_version", "") or None
    facts: Facts = {"version": ort.__version__, "cuda": built_for, "providers": ort.get_available_providers()}
    facts["missing"] = []
    if CUDA_PROVIDER in facts["providers"]:
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        facts["missing"] = [name for name in cuda_libraries(built_for) if not _loads(name)]
    return facts


def openvino_facts() -> Facts:
    """Version and devices of OpenVINO."""
    from engines.openvino.runtime import load_openvino, openvino_core

    return {"version": load_openvino().__version__, "devices": list(openvino_core().available_devices)}


def tensorrt_facts() -> Facts:
    """Standard TensorRT."""
    import tensorrt

    return {"version": tensorrt.__version__, "builder": hasattr(tensorrt, "Builder")}


def tensorrt_rtx_facts() -> Facts:
    """TensorRT for RTX."""
    import tensorrt_rtx

    return {"version": tensorrt_rtx.__version__, "builder": hasattr(tensorrt_rtx, "Builder")}


def cuda_facts() -> Facts:
    """NVIDIA's bindings, and what they reach."""
    from cuda.bindings import runtime

    status, count = runtime.cudaGetDeviceCount()
    _, version = runtime.cudaRuntimeGetVersion()
    return {"runtime": int(version), "status": int(status), "status_name": status.name, "gpus": count or 0}


def pycuda_facts() -> Facts:
    """PyCUDA, and what it reaches."""
    import pycuda
    import pycuda.driver

    facts: Facts = {"version": pycuda.VERSION_TEXT, "gpus": 0, "reason": None}
    try:
        pycuda.driver.init()
        facts["gpus"] = pycuda.driver.Device.count()
    except pycuda.driver.Error as error:
        facts["reason"] = _line(error)
    return facts


PROBES: dict[str, Callable[[], Facts]] = {
    "driver": driver_facts,
    "torch": torch_facts,
    "onnxruntime": onnxruntime_facts,
    "openvino": openvino_facts,
    "tensorrt": tensorrt_facts,
    "tensorrt_rtx": tensorrt_rtx_facts,
    "cuda": cuda_facts,
    "pycuda": pycuda_facts,
}
"""By name, which is that of the package for all but the first."""


def cuda_libraries(built_for: str | None, platform: str = sys.platform) -> tuple[str, ...]:
    """Names of the libraries that ONNX Runtime's CUDA provider needs, beside the driver's.

    Args:
        built_for: CUDA it was built for, such as "12.8"; cuDNN alone if it does not say.
        platform: as `sys.platform`.
    """
    windows = platform == "win32"
    names = ["cudnn64_9.dll" if windows else "libcudnn.so.9"]
    if built_for:
        major = int(built_for.split(".")[0])
        libraries = {"cudart": major, "cublas": major, "cublasLt": major, "cufft": CUFFT_OF_CUDA.get(major)}
        for name, number in libraries.items():
            if number is not None:
                names.append(f"{name}64_{number}.dll" if windows else f"lib{name}.so.{number}")
    return tuple(names)


def answer(name: str) -> Facts:
    """Facts of one probe, or {"failure": why there are none}."""
    try:
        return PROBES[name]()
    except BaseException as error:  # A package may even try to exit.
        return {"failure": _line(error)}


def main() -> None:
    """Answers for the probe named on the command line."""
    # What packages print goes where errors go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(json.dumps(answer(sys.argv[1])), file=answers, flush=True)
    os._exit(0)  # Libraries that crash while they are unloaded have answered all the same.


def _gpu(cuda: ctypes.CDLL, index: int) -> dict[str, str]:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    capability = []
    for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(str(value.value))
    return {"name": name.value.decode(errors="replace"), "capability": ".".join(capability)}


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


if __name__ == "__main__":
    main()
