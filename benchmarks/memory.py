"""Memory of one picture on the CPU: `python -m benchmarks.memory [--engines NAMES] [--model FILE] [HxW ...]`.

Every engine and size has a process of its own, which opens the engine, makes the input, notes its resident size, runs
once, and notes the peak during that run. The growth is held to the largest set of activations that must live at once,
which is derived from the ONNX graph (`export.live_set`); with `--whole`, a picture of bytes goes through, conversions
included. Prints a table, and writes `benchmarks/results/memory.json` where no option was given, else the file that
`--out` names, if any. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import exit_code_of, run_module
from cli.options import parse_shape
from efdn.assets import DEFAULT_ONNX
from efdn.errors import EngineError
from efdn.files import check_target, write_json
from efdn.shapes import Side
from engines.options import RunOptions
from engines.profiling.machine import commit, machine
from engines.registry import ModelKind, find_engine
from engines.select import choose_engine
from engines.whole import to_network, upscale
from engines.worker.memory import clear_peak, peak_resident_bytes, resident_bytes

ENGINES = "onnxruntime-cpu,openvino"
SIZES = ("256x256", "720x1280")
RESULTS = Path(__file__).parent / "results" / "memory.json"
HEADINGS = ("engine", "size", "before, MB", "growth, MB", "bytes a pixel", "must live, bytes a pixel", "ratio")


def main(arguments: Sequence[str]) -> int:
    """Measures every engine at every size, or one in this process."""
    options = _parsed(arguments)

    def work() -> None:
        if options.one:
            print(json.dumps(measure(options.engines, parse_shape(options.sizes[0], "a size"), options)))
        else:
            measure_all(options, " ".join(["python -m benchmarks.memory", *arguments]))

    return exit_code_of(work, "memory")


def measure_all(options: argparse.Namespace, command: str) -> None:
    """Measures every engine at every size, prints the table, and writes the results where that was asked for.

    Raises:
        EfdnError: a size, an engine or a file is refused, or a process failed.
    """
    target = target_of(options)
    if target is not None:
        check_target(target)  # Before the work, not after it.
    sides = [parse_shape(text, "a size") for text in options.sizes or SIZES]
    rows = [
        {**_measured_apart(engine, side, options), **live_sets(engine, side, options.model)}
        for engine in options.engines.split(",")
        for side in sides
    ]
    print(table(rows))
    if target is None:
        return
    content = {
        "command": command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "whole": options.whole,
        "machine": machine(),
        "rows": rows,
    }
    write_json(target, content)


def target_of(options: argparse.Namespace) -> Path | None:
    """Where the results go: what another run than the usual one finds does not replace what that found."""
    usual = options.engines == ENGINES and not (options.sizes or options.model or options.threads or options.whole)
    out: Path | None = options.out
    return out or (RESULTS if usual else None)


def measure(name: str, side: Side, options: argparse.Namespace) -> dict[str, Any]:
    """One run in this process.

    Args:
        name: of the engine.
        side: height and width of the picture, in pixels.
        options: as typed: threads, model, and whether a whole picture of bytes goes in and out.

    Raises:
        EngineError: this system does not tell how much memory a process takes.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (*side, 3), dtype=np.uint8)
    with choose_engine(options.model, name, RunOptions(threads=options.threads)).engine as engine:
        spec = engine.inputs[0]
        x = pixels[None] if spec.picture else to_network(pixels, engine.model.data_range)
        before = resident_bytes()
        clear_peak()
        result = upscale(engine, pixels) if options.whole else engine.infer({spec.name: x})
        peak, after = peak_resident_bytes(), resident_bytes()
        detail = engine.detail
        del result
    if before is None or peak is None or after is None:
        raise EngineError("expected /proc/self/status to tell resident sizes, which it does on Linux only")
    return {"engine": name, "detail": detail, "side": list(side), "before": before, "peak": peak, "after": after}


def live_sets(engine: str, side: Side, graph: Path | None = None) -> dict[str, Any]:
    """What must live at once, in bytes, by what a run may do to its inputs; for engines that run a graph."""
    if find_engine(engine).reads is not ModelKind.ONNX:
        return {}
    import onnx

    from export.live_set import Reuse, largest_live_set

    model = onnx.load(graph or DEFAULT_ONNX)
    return {"live": {reuse.value: largest_live_set(model, side, reuse).bytes for reuse in Reuse}}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A row for each engine and size, in Markdown; what must live is the least of the three bounds."""
    lines = [" | ".join(HEADINGS), " | ".join("-" if index < 2 else "-:" for index in range(len(HEADINGS)))]
    for row in rows:
        height, width = row["side"]
        growth, least = row["peak"] - row["before"], min(row.get("live", {"": 0}).values())
        pixels = height * width
        bound = (f"{least / pixels:,.0f}", f"{growth / least:.2f}") if least else ("", "")
        figures = (f"{row['before'] / 1e6:,.0f}", f"{growth / 1e6:,.0f}", f"{growth / pixels:,.0f}", *bound)
        lines.append(" | ".join((row["engine"], f"{height}x{width}", *figures)))
    return "\n".join(f"| {line} |" for line in lines)


def _measured_apart(engine: str, side: Side, options: argparse.Namespace) -> dict[str, Any]:
    given = [("--threads", options.threads), ("--model", options.model)]
    typed = [text for name, value in given if value is not None for text in (name, str(value))]
    typed += ["--whole"] if options.whole else []
    printed = run_module("benchmarks.memory", "--one", "--engines", engine, *typed, "{}x{}".format(*side))
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("sizes", nargs="*", metavar="HxW", help=f"{' and '.join(SIZES)} without")
    parser.add_argument("--engines", default=ENGINES, help="separated by commas")
    parser.add_argument("--model", type=Path, help="an ONNX file; the packaged one without")
    parser.add_argument("--threads", type=int, help="all cores without")
    parser.add_argument("--whole", action="store_true", help="from a picture of bytes to a picture of bytes")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the results, as JSON")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
