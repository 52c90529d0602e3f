"""Times of the main path on this machine: commands, exports, builds, and the CPU engines side by side.

Run with `make bench`. Engines take turns within one run and are compared by the
ratio of each round, because a machine's speed drifts. Writes
`benchmarks/results/main_path.json` with every raw time, and the README's chart.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.machine import machine
from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.files import staged, write_json
from efdn.html import bar_chart
from efdn.mixing import mix_pixels_published
from efdn.network import EFDN
from efdn.passes.pipeline import deploy_network
from efdn.weights import load_network
from engines.ort import open_cpu
from engines.protocol import INPUT, OUTPUT
from engines.timing import time_interleaved
from engines.whole import to_pixels
from export.onnx_export import export_onnx
from export.options import EngineOptions, OnnxOptions
from export.precision import Precision
from export.trt_builders import RtxBuilder
from export.trt_export import export_engine
from export.verification import verification_input

RESULTS = Path(__file__).parent / "results"
CHART = Path(__file__).parent.parent / "docs" / "cpu_engines.svg"
SIDES = (64, 128, 256)
ROUNDS = 7
COMMAND_RUNS = 7

BASELINE = "PyTorch eager, published form"
FOLDED = "PyTorch eager, folded"
ONNX_RUNTIME = "ONNX Runtime, packaged model"


def main() -> None:
    """Measures everything, prints a summary and writes the results."""
    print("commands ...", flush=True)
    commands = {
        f"{name} --help": [time_command(f"cli.{name.split('-')[1]}", "--help") for _ in range(COMMAND_RUNS)]
        for name in ("efdn-infer", "efdn-export")
    }
    print("exports ...", flush=True)
    exports = measure_exports()
    latencies = {}
    for side in SIDES:
        print(f"engines at {side}x{side} ...", flush=True)
        latencies[f"{side}x{side}"] = compare_engines(side)
    content = {
        "command": "make bench",
        "machine": machine(),
        "commands_s": commands,
        "exports_s": exports,
        "engines": latencies,
    }
    write_json(RESULTS / "main_path.json", content)
    write_chart(latencies["256x256"])
    summarize(content)


def time_command(module: str, *arguments: str) -> float:
    """Seconds that a command takes as a whole process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def measure_exports() -> dict[str, Any]:
    """Seconds of each export, verification included, and what the engine build came to."""
    with tempfile.TemporaryDirectory() as folder:
        fp32 = export_onnx(target=Path(folder, "a.onnx"), options=OnnxOptions())
        fp16 = export_onnx(target=Path(folder, "b.onnx"), options=OnnxOptions(precision=Precision.FP16))
        options = EngineOptions()
        engine = export_engine(target=Path(folder, "c.engine"), builder=RtxBuilder(), options=options).sidecar
        size = Path(folder, "c.engine").stat().st_size
    assert engine.build is not None
    return {
        "onnx_fp32": fp32.seconds,
        "onnx_fp16": fp16.seconds,
        "rtx_fp16_256x256_export": engine.seconds,
        "rtx_fp16_256x256_build": engine.build.build_seconds,
        "rtx_kernels": engine.build.kernels,
        "rtx_half_share": engine.build.half_share,
        "rtx_bytes": size,
        "parity": {"fp32": fp32.parity, "fp16": fp16.parity},
    }


def published_form() -> EFDN:
    """The network as its authors run it: nothing folded, mixing as a fixed depthwise convolution."""
    trained = load_network(DEFAULT_WEIGHTS, EFDN)
    network = EFDN.from_config(trained.config, mix=mix_pixels_published)
    network.load_state_dict(trained.state_dict())
    return network.eval()


def compare_engines(side: int) -> dict[str, Any]:
    """Interleaved times on one picture of side x side pixels, and the largest 8-bit difference from the baseline."""
    x = verification_input(255.0, (side, side))
    published, folded = published_form(), deploy_network(load_network(DEFAULT_WEIGHTS, EFDN))
    tensor = torch.tensor(x)
    with open_cpu(DEFAULT_ONNX) as engine, torch.inference_mode():
        calls: dict[str, Callable[[], np.ndarray]] = {
            BASELINE: lambda: published(tensor).numpy(),
            FOLDED: lambda: folded(tensor).numpy(),
            ONNX_RUNTIME: lambda: engine.infer({INPUT: x})[OUTPUT],
        }
        pictures = {name: to_pixels(call(), 255.0).astype(int) for name, call in calls.items()}
        timings = time_interleaved(calls, rounds=ROUNDS)
    baseline = timings[BASELINE]
    return {
        name: {
            "median_ms": timing.median_ms,
            "speed_up": timing.speed_up_over(baseline),
            "grey_levels": int(np.abs(pictures[name] - pictures[BASELINE]).max()),
            "seconds": timing.seconds,
        }
        for name, timing in timings.items()
    }


def write_chart(results: dict[str, Any]) -> None:
    """The README's picture of the CPU engines at 256x256."""
    bars = [
        (name, row["median_ms"], f"{row['median_ms']:.0f} ms, {row['speed_up']:.1f}x") for name, row in results.items()
    ]
    with staged(CHART) as temporary:
        chart = bar_chart("One 256x256 picture to 1024x1024 on 2 CPU cores", bars, best=ONNX_RUNTIME)
        temporary.write_text(chart, encoding="utf-8")


def summarize(content: dict[str, Any]) -> None:
    """Prints the figures that people ask for."""
    for name, seconds in content["commands_s"].items():
        print(
            f"{name:<32} {median(seconds):.2f} s (median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f})"
        )
    for name, value in content["exports_s"].items():
        if name != "parity":
            print(f"{name:<32} {value}")
    for size, rows in content["engines"].items():
        for name, row in rows.items():
            print(
                f"{size:>8}  {name:<30} {row['median_ms']:8.1f} ms  {row['speed_up']:.2f}x  "
                f"8-bit difference at most {row['grey_levels']}"
            )


if __name__ == "__main__":
    main()
