"""What the machine can do at most, and how much work the graph is: what neither passes nor settings get below."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import onnx
import torch

from efdn.assets import DEFAULT_ONNX
from export.live_set import activation_bytes, traffic_bytes

MATRIX = 1536
COPY_FLOATS = 16 * 2**20
TRIES = 15
FLOAT_BYTES = 4


def measure_rates() -> dict[str, float]:
    """The best of several tries on all threads: GFLOP/s of a matrix product, GB/s of a copy, read and write counted."""
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    product = torch.empty(MATRIX, MATRIX)
    source, target = torch.ones(COPY_FLOATS), torch.empty(COPY_FLOATS)
    return {
        "gflops": 2 * MATRIX**3 / _best(lambda: torch.mm(a, b, out=product)) / 1e9,
        "copy_gb_s": 2 * source.nbytes / _best(lambda: target.copy_(source)) / 1e9,
    }


def work_of_graph(side: int) -> dict[str, Any]:
    """Floating-point operations of the packaged graph's convolutions, and bytes that its steps read and write."""
    model = onnx.load(DEFAULT_ONNX)
    sizes = activation_bytes(model, (side, side))
    weights = {entry.name: tuple(entry.dims) for entry in model.graph.initializer}
    operations = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            _, *kernel = weights[node.input[1]]
            operations += 2 * (sizes[node.output[0]] // FLOAT_BYTES) * math.prod(kernel)
    return {"gflop": operations / 1e9, "gb": traffic_bytes(model, (side, side)) / 1e9}


def _best(call: Callable[[], object]) -> float:
    call()
    seconds = []
    for _ in range(TRIES):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
