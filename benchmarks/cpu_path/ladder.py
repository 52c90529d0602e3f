"""The graph after each pass of the CPU pipeline, timed in both CPU engines beside the baseline."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.timing import time_interleaved
from efdn.assets import DEFAULT_WEIGHTS
from efdn.network import EFDN
from efdn.passes.pipeline import PASSES, PIPELINES, deploy_network
from efdn.weights import load_network
from engines.protocol import INPUT
from engines.registry import find_engine
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.verification import verification_input

BASELINE = "pytorch-published"
ENGINES = ("onnxruntime-cpu", "openvino")
ROUNDS = 9

STEPS = (
    ("norms folded", ()),
    ("+ head and attention with fewer, denser convolutions", ("sum_head_repeats", "merge_narrow_bsconvs")),
    ("+ skip in the attention's tail", ("join_skip",)),
    ("+ trunk carried scaled, mixing groups contiguous", ("carry_scaled_trunk", "group_channels")),
    ("+ mixers as depthwise convolutions", ("convolve_mixers",)),
    ("+ channels padded to 48, 24 and 12", ("pad_channels",)),
    ("+ one wrap a block", ("wrap_once",)),
    ("+ branches added up", ("add_up_branches",)),
    ("+ blocks added up: the `openvino` and `onnxruntime` pipeline", ("add_up_blocks",)),
)
"""What to call a step, and the passes that it adds to those before it."""


def time_ladder(side: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Times every step in every engine, in turns with PyTorch eager in published form.

    Args:
        side: of the picture, in pixels.
        rounds: in each of which everything runs once.

    Returns:
        Median milliseconds and times as fast as the baseline, by step and engine, with raw seconds.
    """
    x = verification_input(255.0, (side, side))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="efdn-")))
        calls: dict[str, Callable[[], object]] = {}

        def add(name: str, engine: str, model: Path) -> None:
            opened = stack.enter_context(find_engine(engine).open(model))
            calls[name] = lambda: opened.infer({INPUT: x})

        add(BASELINE, BASELINE, DEFAULT_WEIGHTS)
        for index, (_, passes) in enumerate(steps()):
            model = _written(passes, folder / f"{index}.onnx")
            for engine in ENGINES:
                add(f"{engine} {index}", engine, model)
        timings = time_interleaved(calls, rounds=rounds)
    baseline = timings[BASELINE]
    rows = [
        {
            "step": name,
            "passes": list(passes),
            **{
                engine: {
                    "median_ms": timings[f"{engine} {index}"].median_ms,
                    "times_as_fast": timings[f"{engine} {index}"].speed_up_over(baseline),
                    "seconds": timings[f"{engine} {index}"].seconds,
                }
                for engine in ENGINES
            },
        }
        for index, (name, passes) in enumerate(steps())
    ]
    return {"baseline_ms": baseline.median_ms, "baseline_seconds": baseline.seconds, "rows": rows}


def steps() -> list[tuple[str, tuple[str, ...]]]:
    """Every step with all its passes, in the order in which they run."""
    result, chosen = [], set[str]()
    for name, added in STEPS:
        chosen |= set(added)
        result.append((name, tuple(item.name for item in PASSES if item.name in chosen)))
    assert result[-1][1] == PIPELINES["openvino"], "the last step is the pipeline"
    return result


def _written(passes: tuple[str, ...], path: Path) -> Path:
    network = deploy_network(load_network(DEFAULT_WEIGHTS, EFDN), passes)
    model = write_onnx(network, precision=Precision.FP32, opset=20, metadata={"scale": "4", "data_range": "255"})
    path.write_bytes(model.SerializeToString())
    return path
