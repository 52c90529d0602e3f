"""Execution contexts, on either TensorRT."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from efdn.errors import EngineError
from efdn.sidecar import Sidecar
from engines.trt.flavours import is_rtx
from engines.trt.log import listening
from engines.trt.runtime_cache import RuntimeCache


def make_context(
    trt: ModuleType, engine: Any, sidecar: Sidecar, *, cuda_graph: bool, cache: RuntimeCache | None = None
) -> Any:
    """A context of a deserialised engine.

    Args:
        trt: the TensorRT module.
        engine: of that module.
        sidecar: what the engine is.
        cuda_graph: whether TensorRT for RTX is to record graphs.
        cache: for kernels that TensorRT for RTX compiles; none are kept if None.

    Raises:
        EngineError: TensorRT gives none.
    """
    with listening(trt) as messages:
        if is_rtx(trt):
            config = _rtx_config(trt, engine, cuda_graph=cuda_graph)
            if cache is not None:
                cache.attach(config)
            context = engine.create_execution_context(config)
        else:
            context = engine.create_execution_context()
    if context is None:
        raise EngineError(
            f"TensorRT could not create a context for {sidecar.file} ({messages.last_error}): "
            "see 'efdn-doctor', or build an engine for smaller pictures"
        )
    # Engines are built with names for every kernel, and markers for profilers cost time at every start.
    context.nvtx_verbosity = trt.ProfilingVerbosity.NONE
    return context


def _rtx_config(trt: ModuleType, engine: Any, *, cuda_graph: bool) -> Any:
    """Settings that TensorRT for RTX has; it leaves CUDA graphs off by default, and compiles for a shape late."""
    strategies = trt.CudaGraphStrategy
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE if cuda_graph else strategies.DISABLED
    config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    return config
