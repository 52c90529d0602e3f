"""Opens ONNX files on ONNX Runtime."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from efdn.caches import cache_folder, folder_name
from efdn.errors import EngineError, MissingExtraError
from efdn.extras import import_extra
from efdn.files import read_bytes, sha256_of_bytes
from engines.graphs import onnx_details
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.ort.engine import OnnxRuntimeEngine
from engines.ort.providers import CPU, CUDA, SHORT_NAMES, TENSORRT, Provider
from engines.ort.runtime import load_onnxruntime
from engines.protocol import Engine

if TYPE_CHECKING:
    from efdn.inspection.onnx_file import OnnxDetails

FLOAT32_ON_CUDA: Provider = (CUDA, {"use_tf32": "0"})
"""Float32 is to mean float32: the provider's default is TF32."""

TF32_VARIABLE = "NVIDIA_TF32_OVERRIDE"


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
        ModelFileError: as on the CPU.
        EngineError: CUDA cannot be used; the reason says what is missing.
        MissingExtraError: ONNX Runtime is not installed.
    """
    _require(CUDA)
    from engines.ort.gpu import OnnxRuntimeGpuEngine

    return OnnxRuntimeGpuEngine("onnxruntime-cuda", read_bytes(model), model.name, (FLOAT32_ON_CUDA, CPU), options)


def open_tensorrt(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens an ONNX file on the first GPU with ONNX Runtime's TensorRT, which compiles for minutes at a first shape.

    Raises:
        ModelFileError: as on the CPU.
        EngineError: TensorRT cannot be used; the reason says what is missing.
        MissingExtraError: ONNX Runtime is not installed.
    """
    _require(TENSORRT)
    # Once loaded, TensorRT's libraries are found; ONNX Runtime does not look into the package, which may be elsewhere.
    with suppress(MissingExtraError, EngineError):
        import_extra("tensorrt", "gpu", "This engine")
    # TF32 would be used for float32, and the provider has no option against it, only the driver.
    # https://github.com/microsoft/onnxruntime/issues/26029
    os.environ.setdefault(TF32_VARIABLE, "0")
    from engines.ort.gpu import OnnxRuntimeGpuEngine

    content = read_bytes(model)
    chosen = tensorrt_options(onnx_details(content, model.name), sha256_of_bytes(content), options)
    providers: tuple[Provider, ...] = ((TENSORRT, chosen), FLOAT32_ON_CUDA, CPU)
    return OnnxRuntimeGpuEngine("onnxruntime-tensorrt", content, model.name, providers, options)


def tensorrt_options(details: OnnxDetails, sha256: str, options: RunOptions) -> dict[str, str]:
    """Options of ONNX Runtime's TensorRT provider for a graph.

    Args:
        details: the graph. Its types decide on half precision; a graph of any shape must not be recorded,
            since a recording is repeated whatever shape comes next.
        sha256: of the ONNX file.
        options: how it is to run.
    """
    types = {group.dtype for group in details.initializers} | {entry.dtype for entry in details.inputs}
    fixed = all(isinstance(size, int) for entry in details.inputs for size in entry.shape or (None,))
    chosen = {
        "trt_fp16_enable": _flag("float16" in types),
        "trt_cuda_graph_enable": _flag(options.cuda_graph and fixed),
    }
    # A folder for each file: the provider tells engines apart by the names of nodes, not by their weights.
    # https://github.com/microsoft/onnxruntime/issues/6455
    folder = cache_folder(options.cache_dir) / "onnxruntime-tensorrt" / folder_name(sha256[:16])
    with suppress(OSError):  # Without a cache the next start takes longer; that is no error.
        folder.mkdir(parents=True, exist_ok=True)
        chosen |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}
    return chosen


def _flag(on: bool) -> str:
    return "1" if on else "0"


def _require(provider: str) -> None:
    ort = load_onnxruntime("gpu")
    if provider not in ort.get_available_providers():
        raise EngineError(
            f"the installed ONNX Runtime has no {SHORT_NAMES[provider]}: pip uninstall onnxruntime, "
            'then, for a machine with an NVIDIA GPU, pip install ".[gpu]" in efdn\'s source folder'
        )
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
