"""What kinds of work the time of one picture goes into, by the engines' own profiles."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from benchmarks.cpu_path.ladder import BASELINE, ENGINES
from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from engines.protocol import INPUT, LayerTime
from engines.registry import find_engine
from export.verification import verification_input

RUNS = 5

CONVOLUTIONS, MIXING, ACTIVATIONS, COPIES, REST = "convolutions", "mixing", "activations", "copies", "sums and the rest"
KINDS = (CONVOLUTIONS, MIXING, ACTIVATIONS, COPIES, REST)

_GRAPH_KINDS = {
    CONVOLUTIONS: ("Conv", "Convolution", "FusedConv"),
    MIXING: ("GroupConvolution",),
    ACTIVATIONS: ("Gelu", "Sigmoid", "Relu"),
    COPIES: ("Concat", "Slice", "ReorderInput", "ReorderOutput", "Reorder", "Transpose", "StridedSlice"),
}

_TORCH_KINDS = {
    ACTIVATIONS: ("aten::gelu", "aten::sigmoid", "aten::relu", "aten::relu_", "aten::clamp_min_", "aten::clamp_min"),
    COPIES: ("aten::cat", "aten::copy_", "aten::_pad_circular", "aten::slice", "aten::empty", "aten::repeat"),
}


def measure_shares(side: int, runs: int = RUNS) -> dict[str, dict[str, float]]:
    """Milliseconds by engine and kind of work, for one picture of side x side pixels."""
    x = verification_input(255.0, (side, side))
    shares = {BASELINE: _published(x, runs)}
    for name in ENGINES:
        with find_engine(name).open(DEFAULT_ONNX) as engine:
            shares[name] = by_kind(engine.layer_times({INPUT: x}, runs))
    return shares


def by_kind(layers: tuple[LayerTime, ...]) -> dict[str, float]:
    """Milliseconds by kind of work; activations that are part of a convolution count as convolution."""
    totals = dict.fromkeys(KINDS, 0.0)
    for layer in layers:
        kind = next((kind for kind, names in _GRAPH_KINDS.items() if layer.kind in names), REST)
        totals[MIXING if kind == CONVOLUTIONS and "/shift" in layer.name else kind] += layer.ms
    return totals


def _published(x: np.ndarray, runs: int) -> dict[str, float]:
    """The same of the published form, whose mixing is a circular pad, a depthwise convolution and a norm."""
    from torch.profiler import ProfilerActivity, profile

    totals: dict[str, float] = defaultdict(float)
    with find_engine(BASELINE).open(DEFAULT_WEIGHTS) as engine:
        engine.infer({INPUT: x})
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
            for _ in range(runs):
                engine.infer({INPUT: x})
    for event in recorded.key_averages(group_by_input_shape=True):
        totals[_kind_of_event(event, x.shape[2])] += event.self_cpu_time_total / 1e3 / runs
    return {kind: totals[kind] for kind in KINDS}


def _kind_of_event(event: Any, side: int) -> str:
    if "conv" in event.key:
        shapes = [shape for shape in event.input_shapes if len(shape) == 4]
        depthwise = len(shapes) > 1 and shapes[1][1] == 1
        return MIXING if depthwise and shapes[0][1] == shapes[1][0] and _continued(shapes[0], side) else CONVOLUTIONS
    return next((kind for kind, names in _TORCH_KINDS.items() if event.key in names), REST)


def _continued(shape: list[int], side: int) -> bool:
    """Whether a map is one that was continued by a pixel at each border, as mixing reads it."""
    return shape[2] == side + 2
