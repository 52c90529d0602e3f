"""Times of an engine's layers, as TensorRT reports them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from engines.protocol import LayerTime


def measure_layers(trt: ModuleType, context: Any, run: Callable[[], None], runs: int) -> tuple[LayerTime, ...]:
    """Mean times of layers over some runs.

    Args:
        trt: the TensorRT module.
        context: one that records no graphs, or there is nothing to report.
        run: runs the network in that context once, to its end.
        runs: how often; one more is made first.
    """
    profiler = _profiler(trt)
    run()
    context.profiler = profiler
    for _ in range(runs):
        run()
    return tuple(LayerTime(name=name, kind="", ms=total / runs) for name, total in profiler.totals.items())


def _profiler(trt: ModuleType) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.totals: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.totals[layer_name] = self.totals.get(layer_name, 0.0) + ms

    return Profiler()
