"""What each combination of passes comes to, in kernels, bytes and time: `python -m benchmarks.passes`.

Kernels and bytes are read from the plans of FP16 engines for SM86, 8-bit pictures in
and out, which TensorRT for RTX builds without a GPU; they repeat exactly, and
`tests/test_kernel_budget.py` holds them. Times are of the same passes as FP32 graphs on
this machine's CPU, as ratios of interleaved rounds. Writes
`benchmarks/results/passes.json` and the tables of `docs/passes.md`.

With `--keep-times` only kernels and bytes are measured anew.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from benchmarks.timing import Timings, time_interleaved
from efdn.assets import DEFAULT_WEIGHTS
from efdn.files import staged, write_json
from efdn.network import EFDN
from efdn.passes.pipeline import deploy_network, find_passes
from efdn.shapes import ShapeRange
from efdn.weights import load_network
from engines.openvino_package import load_openvino
from engines.ort import CPU, OnnxRuntimeEngine
from engines.protocol import INPUT
from export.build_progress import quiet
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.trt_builders import BuildRequest, BuiltEngine, RtxBuilder

RESULTS = Path(__file__).parent / "results" / "passes.json"
PAGE = Path(__file__).parent.parent / "docs" / "passes.md"
BEGIN, END = "<!-- figures: python -m benchmarks.passes -->", "<!-- end of figures -->"

BASE = "sum_head_repeats,merge_narrow_bsconvs,carry_scaled_trunk,group_channels"
"""What every pipeline has: fewer channels read, fewer small kernels, no gathers."""

COMBINATIONS = {
    "norms folded": "none",
    "head, narrow convolutions, trunk, groups": BASE,
    "+ dense refinement": f"{BASE},merge_refine_bsconv",
    "+ channels padded": f"{BASE},merge_refine_bsconv,pad_channels",
    "+ branches joined": f"{BASE},merge_refine_bsconv,pad_channels,join_branches",
    "+ attention reads branches": f"{BASE},merge_refine_bsconv,pad_channels,join_branches,read_branches",
    "+ skip in the tail": f"{BASE},merge_refine_bsconv,pad_channels,join_branches,read_branches,join_skip",
    "or: tail before the resize": "tensorrt,-skip_terms",
    "or: that, skip in terms (`tensorrt`)": "tensorrt",
    "`tensorrt`, one wrap": "tensorrt,wrap_once",
    "`tensorrt-dynamic` pipeline": "tensorrt-dynamic",
}
"""Rows of the first table that are built and timed: what to call it, and its passes."""

TIMED_ONLY = {
    "`onnxruntime` and `openvino` pipeline": "openvino",
    "that, three wraps": "openvino,-wrap_once",
    "that, channels as published": "openvino,-pad_channels",
    "that, skip apart": "openvino,-join_skip",
    "that, branches fused at once": "openvino,-add_up_branches",
    "that, blocks fused at once": "openvino,-add_up_blocks",
    "that, slices": "openvino,-convolve_mixers,-wrap_once",
}
"""Rows that are only timed: depthwise mixers mean copies in TensorRT."""

SHAPES: dict[str, tuple[str, tuple[tuple[tuple[int, int], ...], ...]]] = {
    "256x256": ("tensorrt", (((256, 256),) * 3,)),
    "720x1280": ("tensorrt", (((720, 1280),) * 3,)),
    "256x256 and 720x1280": ("tensorrt", (((256, 256),) * 3, ((720, 1280),) * 3)),
    "64x64 to 512x512, slices": ("tensorrt", (((64, 64), (256, 256), (512, 512)),)),
    "64x64 to 512x512": ("tensorrt-dynamic", (((64, 64), (256, 256), (512, 512)),)),
}
"""Rows of the second table: passes, and (min, opt, max) of each profile."""

SIDE, ROUNDS = 128, 9


@dataclass(frozen=True, kw_only=True)
class PlanFigures:
    """What a plan comes to; these repeat exactly.

    Attributes:
        kernels: number of kernels.
        copies: kernels that only copy.
        copies_inside_blocks: those of them inside a block.
        bytes_moved: activations read and written in one run; None for dynamic shapes.
    """

    kernels: int
    copies: int
    copies_inside_blocks: int
    bytes_moved: int | None


def main() -> None:
    """Measures, writes the results and the tables."""
    keep_times = "--keep-times" in sys.argv[1:]
    combinations = {name: measure(passes, (((256, 256),) * 3,)) for name, passes in COMBINATIONS.items()}
    shapes = {name: measure(*row) for name, row in SHAPES.items()}
    times = json.loads(RESULTS.read_text())["times"] if keep_times else measure_times()
    content = {
        "command": "python -m benchmarks.passes",
        "tensorrt_rtx": importlib.metadata.version("tensorrt-rtx"),
        "combinations": combinations,
        "shapes": shapes,
        "times": times,
    }
    write_json(RESULTS, content)
    text = tables(content)
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    start, stop = page.index(BEGIN) + len(BEGIN), page.index(END)
    with staged(PAGE) as temporary:
        temporary.write_text(f"{page[:start]}\n\n{text}\n{page[stop:]}", encoding="utf-8")


def measure(passes: str, profiles: tuple[tuple[tuple[int, int], ...], ...]) -> dict[str, Any]:
    """Builds one engine; what can be repeated stands under "plan"."""
    built = build(passes, profiles)
    figures = figures_of(built)
    row = {
        "passes": passes,
        "plan": figures.__dict__,
        "half_share": round(built.plan.half_share, 4),
        "engine_bytes": len(built.content),
        "build_seconds": round(built.seconds, 1),
    }
    print(f"{passes}: {row}", flush=True)
    return row


def build(passes: str, profiles: tuple[tuple[tuple[int, int], ...], ...]) -> BuiltEngine:
    """An FP16 engine for SM86, 8-bit pictures in and out, of the packaged weights."""
    shapes = tuple(ShapeRange(min=low, opt=opt, max=high) for low, opt, high in profiles)
    static = shapes[0].opt if len(shapes) == 1 and shapes[0].static else None
    network = deploy_network(packaged_network(), find_passes(passes, pictures=True))
    model = write_onnx(network, precision=Precision.FP16, opset=20, shape=static, io=IOFormat.UINT8)
    request = BuildRequest(graph=model.SerializeToString(), precision=Precision.FP16, io=IOFormat.UINT8, shapes=shapes)
    return RtxBuilder(("sm86",)).build(request, quiet)


def figures_of(built: BuiltEngine) -> PlanFigures:
    """The exact figures of an engine's plan."""
    plan = built.plan
    return PlanFigures(
        kernels=len(plan.kernels),
        copies=len(plan.copies),
        copies_inside_blocks=len(plan.copies_inside_blocks),
        bytes_moved=plan.bytes_moved,
    )


@lru_cache(maxsize=1)
def packaged_network() -> EFDN:
    """The packaged weights, loaded once."""
    return load_network(DEFAULT_WEIGHTS, EFDN)


def measure_times() -> dict[str, Any]:
    """Seconds of every combination on the CPU engines, interleaved within each engine."""
    x = np.random.default_rng(0).uniform(0, 255, (1, 3, SIDE, SIDE)).astype(np.float32)
    engines: dict[str, Callable[[bytes, np.ndarray], Callable[[], object]]] = {"onnxruntime": onnxruntime_call}
    if importlib.util.find_spec("openvino") is not None:
        engines["openvino"] = openvino_call
    result: dict[str, Any] = {"side": SIDE, "machine": machine()}
    for engine, prepare in engines.items():
        rows = COMBINATIONS | TIMED_ONLY
        calls = {name: prepare(float_graph(passes), x) for name, passes in rows.items()}
        timings = time_interleaved(calls, rounds=ROUNDS)
        seconds = {name: [round(value, 5) for value in timing.seconds] for name, timing in timings.items()}
        result[engine] = {name: {"seconds": values} for name, values in seconds.items()}
    return result


def float_graph(passes: str) -> bytes:
    """The FP32 graph with dynamic shapes, as the CPU engines run it."""
    metadata = {"scale": "4", "data_range": "255"}
    network = deploy_network(packaged_network(), find_passes(passes))
    return bytes(write_onnx(network, precision=Precision.FP32, opset=20, metadata=metadata).SerializeToString())


def onnxruntime_call(content: bytes, x: np.ndarray) -> Callable[[], object]:
    """One run by ONNX Runtime."""
    engine = OnnxRuntimeEngine("onnxruntime-cpu", content, "benchmark", (CPU,))
    return lambda: engine.infer({INPUT: x})


def openvino_call(content: bytes, x: np.ndarray) -> Callable[[], object]:
    """One run by OpenVINO in FP32, which it may otherwise lower by itself."""
    openvino = load_openvino("This benchmark")
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.onnx")
        path.write_bytes(content)
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda: request.infer({0: x})


def tables(content: dict[str, Any]) -> str:
    """Both tables in Markdown."""
    return f"{combination_table(content)}\n\n{shape_table(content['shapes'])}"


def combination_table(content: dict[str, Any]) -> str:
    """Passes against kernels, bytes and times."""
    rows, times = content["combinations"], content["times"]
    base = rows["norms folded"]["plan"]["bytes_moved"]
    lines = [
        "| passes | kernels | copies (in blocks) | kB per pixel | of folded | engine | ONNX Runtime | OpenVINO |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in (*rows, *TIMED_ONLY):
        plan = plan_columns(rows[name], base) if name in rows else "| | | | | "
        lines.append(
            f"| {name} {plan}| {speed_up(times.get('onnxruntime'), name)} | {speed_up(times.get('openvino'), name)} |"
        )
    return "\n".join(lines)


def plan_columns(row: dict[str, Any], folded_bytes: int) -> str:
    """Cells of what was read from the plan."""
    plan = row["plan"]
    return (
        f"| {plan['kernels']} | {plan['copies']} ({plan['copies_inside_blocks']}) "
        f"| {plan['bytes_moved'] / 65536e3:.1f} | {plan['bytes_moved'] / folded_bytes:.0%} "
        f"| {row['engine_bytes'] / 1e6:.1f} MB "
    )


def speed_up(times: dict[str, Any] | None, name: str) -> str:
    """How many times faster than the folded graph, the median over rounds."""
    if times is None or name not in times:
        return "not measured"
    row, base = (Timings(name=key, seconds=tuple(times[key]["seconds"])) for key in (name, "norms folded"))
    return f"{row.speed_up_over(base):.2f}x"


def shape_table(rows: dict[str, Any]) -> str:
    """Shapes against kernels and size."""
    lines = ["| shapes | pipeline | kernels | engine | build |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        lines.append(
            f"| {name.split(',')[0]} | `{row['passes']}` | {row['plan']['kernels']} "
            f"| {row['engine_bytes'] / 1e6:.1f} MB | {row['build_seconds']:.0f} s |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
