"""Times of the commands on this machine: their start, a small picture from file to file, exports, a build.

Run by `make bench` after `benchmarks.peers`. Writes `benchmarks/results/main_path.json`
with every raw time. The first run of each command, whose cache is empty, is kept apart.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command import exit_code_of, run_module
from benchmarks.machine import machine
from efdn.caches import VARIABLE
from efdn.errors import EfdnError
from efdn.files import check_target, write_json
from engines.profiling.machine import commit
from engines.worker.picture import sample_pictures

RESULTS = Path(__file__).parent / "results" / "main_path.json"
COMMAND_RUNS = 7
SIDE = 64
ENGINES = ("onnxruntime-cpu", "openvino")


def main() -> int:
    """Measures everything, prints a summary and writes the results."""
    return exit_code_of(measure_and_write, "main-path")


def measure_and_write() -> None:
    """All of it, one after the other."""
    check_target(RESULTS)  # Before the work, not after it.
    print("commands ...", flush=True)
    first, later = measure_commands()
    print("exports ...", flush=True)
    content = {
        "command": "python -m benchmarks.main_path",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "first_s": first,
        "commands_s": later,
        "exports_s": measure_exports(),
    }
    write_json(RESULTS, content)
    summarize(content)


def measure_commands(runs: int = COMMAND_RUNS) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Seconds of whole processes, taking turns; pictures are 8-bit PNGs of 64x64.

    Returns:
        Of the first run of each command, with an empty cache, and of those after it.

    Raises:
        EfdnError: a command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture, target = write_picture(Path(folder, "small.png")), Path(folder, "large.png")
        environment = {**os.environ, VARIABLE: str(Path(folder, "cache"))}
        commands = {
            "efdn-infer --help": ("cli.infer", "--help"),
            "efdn-export --help": ("cli.export", "--help"),
            **{
                f"efdn-infer, {SIDE}x{SIDE}, {engine}": (
                    *("cli.infer", str(picture), "-o", str(target), "--overwrite", "--engine", engine),
                )
                for engine in ENGINES
            },
        }
        first = {name: time_command(*command, environment=environment) for name, command in commands.items()}
        later: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                later[name].append(time_command(*command, environment=environment))
    return first, later


def write_picture(path: Path) -> Path:
    """Writes a part of the packaged photo."""
    from PIL import Image

    Image.fromarray(sample_pictures((SIDE, SIDE))[0]).save(path)
    return path


def time_command(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes as a whole process."""
    started = time.perf_counter()
    run_module(module, *arguments, environment=environment)
    return time.perf_counter() - started


def measure_exports() -> dict[str, Any]:
    """Seconds of each export, verification included, and what the engine build came to; or why there is none."""
    from export.onnx_export import export_onnx
    from export.options import EngineOptions, OnnxOptions
    from export.precision import Precision
    from export.trt_builders import RtxBuilder
    from export.trt_export import export_engine

    with tempfile.TemporaryDirectory() as folder:
        fp32 = export_onnx(target=Path(folder, "a.onnx"), options=OnnxOptions())
        fp16 = export_onnx(target=Path(folder, "b.onnx"), options=OnnxOptions(precision=Precision.FP16))
        exports: dict[str, Any] = {"onnx_fp32": fp32.seconds, "onnx_fp16": fp16.seconds}
        target = Path(folder, "c.engine")
        try:
            engine = export_engine(target=target, builder=RtxBuilder(), options=EngineOptions()).sidecar
        except EfdnError as error:
            return {**exports, "rtx_error": str(error)}
        assert engine.build is not None
        return {
            **exports,
            "rtx_fp16_256x256_export": engine.seconds,
            "rtx_fp16_256x256_build": engine.build.build_seconds,
            "rtx_kernels": engine.build.kernels,
            "rtx_half_share": engine.build.half_share,
            "rtx_bytes": target.stat().st_size,
        }


def summarize(content: dict[str, Any]) -> None:
    """Prints the figures that people ask for."""
    for name, seconds in content["commands_s"].items():
        print(
            f"{name:<32} {median(seconds):.2f} s (median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f}; "
            f"first {content['first_s'][name]:.2f} s)"
        )
    for name, value in content["exports_s"].items():
        print(f"{name:<32} {value}")


if __name__ == "__main__":
    sys.exit(main())
