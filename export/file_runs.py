"""Runs an exported graph on a (1, 3, H, W) input, whatever its own input and output are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engines.ort import CPU, OnnxRuntimeEngine
from engines.protocol import INPUT, OUTPUT
from export.interpreter import run_graph
from export.io_format import IOFormat
from export.verification import Output


def run_onnxruntime(content: bytes, x: Output, io: IOFormat, data_range: float) -> Output:
    """The output of an ONNX file by ONNX Runtime on the CPU, as (N, 3, scale H, scale W) in 0..data_range."""
    with OnnxRuntimeEngine("onnxruntime-cpu", content, "the exported file", (CPU,)) as engine:
        return from_graph(engine.infer({INPUT: to_graph(x, io, data_range)})[OUTPUT], io, data_range)


def run_own_arithmetic(
    content: bytes,
    x: Output,
    io: IOFormat,
    data_range: float,
    observe: Callable[[str, str, Tensor], None] | None = None,
) -> Output:
    """The same by `export.interpreter`: every operation rounds to the graph's own types."""
    output = run_graph(content, {INPUT: to_graph(x, io, data_range)}, observe=observe)[OUTPUT]
    return from_graph(output, io, data_range)


def to_graph(x: Output, io: IOFormat, data_range: float) -> NDArray[Any]:
    """(N, 3, H, W) in 0..data_range as the graph takes it; 8-bit values are taken to be what x holds."""
    if io is IOFormat.FLOAT32:
        return x.astype(np.float32)
    pixels = np.clip(np.rint(x * (255 / data_range)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def from_graph(y: NDArray[Any], io: IOFormat, data_range: float) -> Output:
    """What a graph gives as (N, 3, H, W) in 0..data_range."""
    if io is IOFormat.FLOAT32:
        return y
    floats: Output = y.transpose(0, 3, 1, 2).astype(np.float64) * (data_range / 255)
    return floats
