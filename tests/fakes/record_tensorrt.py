"""Records the signatures of the real TensorRT for RTX that engines use: `python -m tests.fakes.record_tensorrt`."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "tensorrt_api.json"

METHODS = (
    "Runtime.deserialize_cuda_engine",
    "ICudaEngine.create_execution_context",
    "ICudaEngine.create_runtime_config",
    "ICudaEngine.get_tensor_dtype",
    "ICudaEngine.get_tensor_mode",
    "ICudaEngine.get_tensor_name",
    "IExecutionContext.execute_async_v3",
    "IExecutionContext.get_tensor_shape",
    "IExecutionContext.set_input_shape",
    "IExecutionContext.set_optimization_profile_async",
    "IExecutionContext.set_tensor_address",
    "IProfiler.report_layer_time",
    "IRuntimeCache.deserialize",
    "IRuntimeCache.serialize",
    "IRuntimeConfig.create_runtime_cache",
    "IRuntimeConfig.set_runtime_cache",
    "nptype",
)

VALUES = (
    "CudaGraphStrategy.DISABLED",
    "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE",
    "DynamicShapesKernelSpecializationStrategy.EAGER",
    "ICudaEngine.device_memory_size_v2",
    "ICudaEngine.num_io_tensors",
    "IExecutionContext.nvtx_verbosity",
    "IExecutionContext.profiler",
    "ILogger.Severity",
    "IRuntimeConfig.cuda_graph_strategy",
    "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
    "ProfilingVerbosity.NONE",
    "TensorIOMode.INPUT",
)


def record(module: Any) -> dict[str, Any]:
    """Signatures of `METHODS` and the existence of `VALUES`.

    Raises:
        AttributeError: the module lacks one of them.
    """
    for name in VALUES:
        find(module, name)
    return {"module": module.__name__, "signatures": {name: signatures(find(module, name)) for name in METHODS}}


def find(module: Any, name: str) -> Any:
    """What a dotted name stands for."""
    for part in name.split("."):
        module = getattr(module, part)
    return module


def signatures(function: Any) -> list[list[str]]:
    """Names of the parameters, of every overload; compiled functions tell them in their docstrings only."""
    if inspect.isfunction(function):
        return [[name for name in inspect.signature(function).parameters if name != "self"]]
    text = re.sub(r"<[^<>]*>", "", function.__doc__ or "")  # Defaults that are no literals.
    lines = re.findall(r"^(?:\d+\. )?\w+\((.*)\) ->", text, re.M)
    return [[name for name in re.findall(r"(\w+): ", line) if name != "self"] for line in lines]


if __name__ == "__main__":
    import tensorrt_rtx

    RECORD.write_text(json.dumps(record(tensorrt_rtx), indent=1) + "\n", encoding="utf-8")
