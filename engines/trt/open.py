"""Opens TensorRT engine files."""

from __future__ import annotations

from pathlib import Path

from efdn.sidecar import Sidecar
from engines.cuda.open import open_device
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Engine
from engines.trt.engine import TensorRTEngine
from engines.trt.flavours import load_flavour
from engines.trt.preflight import check_gpu, check_header, check_version, read_described


def open_tensorrt(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens a TensorRT engine file on the first GPU.

    Raises:
        ArtefactError: the sidecar is missing, broken, or of another file.
        MissingExtraError: the TensorRT that built it, or CUDA's bindings, are not installed.
        DeviceMemoryError: the GPU has too little memory left.
        EngineError: no GPU, or the engine was built for another version or GPU.
    """
    plan, sidecar = read_described(model)
    return open_built(plan, sidecar, str(model), options)


def open_built(plan: bytes, sidecar: Sidecar, name: str, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens the content of an engine file on the first GPU.

    Args:
        plan: content of the file.
        sidecar: what it is; an engine's.
        name: of the file, for errors.
        options: how it is to run.

    Raises:
        As `open_tensorrt`.
    """
    assert sidecar.build is not None
    check_header(plan, sidecar, name)
    trt = load_flavour(sidecar.build.runtime, "Running this engine file")
    check_version(trt, sidecar, name)
    device = open_device(options.cuda_provider)
    try:
        check_gpu(device, sidecar, name)
        return TensorRTEngine(trt, plan, device, sidecar, options)
    except BaseException:
        device.close()
        raise
