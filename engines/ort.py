"""ONNX Runtime, on CUDA and on the CPU. The provider asked for is the one in use, or it is an error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from efdn.config import MIN_SIDE
from efdn.errors import EngineError, ModelFileError, ShapeError
from efdn.extras import import_extra
from efdn.files import read_bytes
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import (
    FLOAT_SIDES,
    PICTURE_DTYPE,
    PICTURE_SIDES,
    Arrays,
    Dim,
    Engine,
    ModelInfo,
    TensorSpec,
    shapes_of,
)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
ERRORS_ONLY = 3


def open_cpu(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens an ONNX file on the CPU, on as many threads as there are cores.

    Raises:
        ModelFileError: not a readable ONNX file of this toolkit.
        MissingExtraError: ONNX Runtime is not installed.
    """
    return OnnxRuntimeEngine("onnxruntime-cpu", read_bytes(model), model.name, (CPU,), options)


def open_cuda(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens an ONNX file on the first CUDA device.

    Raises:
        EngineError: as on the CPU, or CUDA cannot be used; the reason says what is missing.
        MissingExtraError: ONNX Runtime is not installed.
    """
    ort = _onnxruntime("gpu")
    if CUDA not in ort.get_available_providers():
        raise EngineError(
            "the installed ONNX Runtime has no CUDA: pip uninstall onnxruntime, "
            "then pip install '.[gpu]' in efdn's source folder"
        )
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    return OnnxRuntimeEngine("onnxruntime-cuda", read_bytes(model), model.name, (CUDA, CPU), options)


class OnnxRuntimeEngine(Engine):
    """One session. Calls from several threads are allowed, as ONNX Runtime allows them.

    Args:
        name: of the engine.
        content: the ONNX file.
        model_name: for people.
        providers: in order; the first must be in use once the session is open.
        options: how it is to run.
    """

    def __init__(
        self,
        name: str,
        content: bytes,
        model_name: str,
        providers: tuple[str, ...],
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> None:
        ort = _onnxruntime("cpu")
        settings = ort.SessionOptions()
        settings.log_severity_level = ERRORS_ONLY
        settings.intra_op_num_threads = options.threads or _cores()
        # Patterns are kept per shape and only grow memory here: 12.7 GB a megapixel with, 8.1 without, no slower.
        settings.enable_mem_pattern = False
        try:
            # Its own fall-back would move to the CPU in the middle of a run, with a word on stdout.
            session = ort.InferenceSession(
                content, settings, providers=[_with_options(provider) for provider in providers], enable_fallback=0
            )
        except Exception as error:  # Its exception classes share no public base.
            raise ModelFileError(f"ONNX Runtime cannot load {model_name}: {_first_line(error)}") from error
        if session.get_providers()[0] != providers[0]:
            raise EngineError(
                f"ONNX Runtime fell back to {session.get_providers()[0]} although {providers[0]} was asked for: "
                "check that driver, CUDA and cuDNN are those this onnxruntime-gpu needs"
            )
        self._session = session
        self.name = name
        self.detail = f"ONNX Runtime {ort.__version__}, " + (
            "CUDA" if providers[0] == CUDA else f"{settings.intra_op_num_threads} threads"
        )
        self.model = _model_info(session.get_modelmeta().custom_metadata_map, model_name)
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())
        self.shapes = shapes_of(self.inputs[0])

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        names = [spec.name for spec in self.outputs]
        try:
            return dict(zip(names, self._session.run(names, dict(feeds)), strict=True))
        except Exception as error:
            shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in feeds.items())
            if "INVALID_ARGUMENT" in str(error):
                raise ShapeError(f"{self.model.name} does not take {shapes}: {_first_line(error)}") from error
            raise EngineError(f"ONNX Runtime failed on {shapes}: {_first_line(error)}") from error

    def close(self) -> None:
        self._session = None


def _model_info(metadata: Mapping[str, str], model_name: str) -> ModelInfo:
    try:
        return ModelInfo(name=model_name, scale=int(metadata["scale"]), data_range=float(metadata["data_range"]))
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{model_name} does not say its scale and data range (metadata_props): "
            "expected an ONNX file written by efdn-export"
        ) from error


def _with_options(provider: str) -> Any:
    """The provider with its options: float32 stays float32 on CUDA, where TF32 is the default."""
    return (provider, {"use_tf32": "0"}) if provider == CUDA else provider


def _spec(value: Any) -> TensorSpec:
    """Dynamic sides start at the network's smallest, dynamic batches at one."""
    dtype = DTYPES.get(value.type, value.type)
    sides = PICTURE_SIDES if dtype == PICTURE_DTYPE else FLOAT_SIDES
    dims = []
    for axis, size in enumerate(value.shape):
        if isinstance(size, int):
            dims.append(Dim(size, size))
        else:
            dims.append(Dim(MIN_SIDE if axis in sides else 1, None))
    return TensorSpec(name=value.name, dtype=dtype, dims=tuple(dims))


def _onnxruntime(extra: str) -> ModuleType:
    ort = import_extra("onnxruntime", extra, "This engine")
    # Official builds report usage unless told not to; a picture tool has nothing to report.
    if hasattr(ort, "disable_telemetry_events"):
        ort.disable_telemetry_events()
    return ort


def _cores() -> int:
    """Cores this process may use; ONNX Runtime's own default ignores limits set on the process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
