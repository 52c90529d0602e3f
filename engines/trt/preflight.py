"""What can be known to be wrong before an engine is deserialised.

TensorRT's own answer to a mismatch is to return nothing, or a line in its log;
sidecar and header tell both sides and the remedy.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from efdn.errors import ArtefactError, DeviceMemoryError, EngineError
from efdn.files import read_bytes, sha256_of_bytes
from efdn.inspection.details import MalformedError
from efdn.inspection.engine_file import read_engine
from efdn.sidecar import Sidecar, read_sidecar
from engines.cuda.device import CudaDevice
from engines.trt.flavours import FLAVOURS
from engines.trt.rebuild import rebuild_command


def read_described(model: Path) -> tuple[bytes, Sidecar]:
    """An engine file's content and its sidecar, once they are known to belong together.

    Raises:
        ArtefactError: the sidecar is missing, broken, or of another file.
        ModelFileError: the file cannot be read.
    """
    sidecar = read_sidecar(model)
    if sidecar.build is None or sidecar.build.runtime not in FLAVOURS:
        raise ArtefactError(f"the sidecar of {model} does not describe a TensorRT engine: build it anew")
    plan = read_bytes(model)
    if sha256_of_bytes(plan) != sidecar.sha256:
        raise ArtefactError(
            f"{model} is not the file its sidecar describes (SHA-256 differs{_damage(plan)}): "
            f"{rebuild_command(sidecar)}"
        )
    return plan, sidecar


def _damage(plan: bytes) -> str:
    """What the header says is wrong with a file, if it says so."""
    try:
        read_engine(plan)
    except MalformedError as error:
        return f"; cut off: {error}"
    return ""


def check_header(plan: bytes, sidecar: Sidecar, name: str) -> None:
    """Raises ArtefactError where the engine's own header is cut off or says otherwise than its sidecar."""
    try:
        contradictions = read_engine(plan).contradictions(sidecar)
    except MalformedError as error:
        raise ArtefactError(f"{name} is cut off: {error}; {rebuild_command(sidecar)}") from error
    if contradictions:
        raise ArtefactError(f"the sidecar of {name} is not its own: {contradictions[0]}; {rebuild_command(sidecar)}")


def check_version(trt: ModuleType, sidecar: Sidecar, name: str) -> None:
    """Raises EngineError where another version built the engine."""
    assert sidecar.build is not None
    if trt.__version__ != sidecar.build.tensorrt_version:
        raise EngineError(
            f"{name} was built by {trt.__name__} {sidecar.build.tensorrt_version}, here is {trt.__version__}: "
            f"{rebuild_command(sidecar)}"
        )


def check_gpu(device: CudaDevice, sidecar: Sidecar, name: str) -> None:
    """Raises EngineError where the engine was built for other GPUs."""
    assert sidecar.build is not None
    if device.architecture not in sidecar.build.gpu_targets:
        raise EngineError(
            f"{name} was built for {', '.join(sidecar.build.gpu_targets)}, "
            f"here is {device.name} ({device.architecture}): {rebuild_command(sidecar, gpu=device.architecture)}"
        )


def check_memory(device: CudaDevice, engine: Any, sidecar: Sidecar) -> None:
    """Raises DeviceMemoryError where a deserialised engine's activations do not fit into what the GPU has left."""
    # Version 8.6 has only the first name, TensorRT for RTX only the second.
    needed = engine.device_memory_size_v2 if hasattr(engine, "device_memory_size_v2") else engine.device_memory_size
    free, total = device.memory()
    if needed > free:
        shapes = ", ".join(map(str, sidecar.shapes))
        raise DeviceMemoryError(
            f"{sidecar.file} needs {needed / 1e6:,.0f} MB of GPU memory for pictures of {shapes}, "
            f"{free / 1e6:,.0f} MB of {total / 1e6:,.0f} MB are free: close other programs, "
            "or build an engine for smaller pictures (--shape, or --max)",
            needed_bytes=int(needed),
            free_bytes=free,
        )
