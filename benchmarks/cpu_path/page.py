"""The tables and the chart of docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cpu_path.ladder import ENGINES
from benchmarks.cpu_path.shares import ACTIVATIONS, CONVOLUTIONS, COPIES, KINDS, MIXING, REST
from benchmarks.marked_text import write_between
from benchmarks.timing import Timings
from efdn.files import staged
from efdn.html import Segment, stacked_chart

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cpu_path.json"
PAGE, CHART = ROOT / "docs" / "performance.md", ROOT / "docs" / "time_shares.svg"
COMMAND = "python -m benchmarks.cpu_path"

NAMES = {
    "pytorch-published": "PyTorch, published form",
    "onnxruntime-cpu": "ONNX Runtime",
    "openvino": "OpenVINO",
}
COLOURS = {CONVOLUTIONS: "#2f7d5b", MIXING: "#4a90c2", ACTIVATIONS: "#c98a2b", COPIES: "#c0504d", REST: "#8a8f98"}


def write_page(content: Mapping[str, Any]) -> str:
    """Writes the chart, and the tables to their place in the page; returns the tables.

    Raises:
        OutputError: the page has no place for them, or a file cannot be written.
    """
    text = f"{ladder_table(content)}\n\n{shares_table(content)}\n\n{limits_table(content)}"
    with staged(CHART) as temporary:
        temporary.write_text(chart(content), encoding="utf-8")
    write_between(PAGE, COMMAND, text)
    return text


def ladder_table(content: Mapping[str, Any]) -> str:
    """What each pass bought, in both engines: medians over rounds, and the least and most of a round."""
    side, ladder = content["side"], content["ladder"]
    baseline = Timings(name="baseline", seconds=tuple(ladder["baseline_seconds"]))
    lines = [
        f"| passes, at {side}x{side} | ONNX Runtime | over the baseline | OpenVINO | over the baseline |",
        "|---|---|---|---|---|",
        f"| baseline: PyTorch eager, published form, {ladder['baseline_ms']:.0f} ms | | 1.00x | | 1.00x |",
    ]
    for row in ladder["rows"]:
        cells = [_cells(Timings(name=name, seconds=tuple(row[name]["seconds"])), baseline) for name in ENGINES]
        lines.append(f"| {row['step']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shares_table(content: Mapping[str, Any]) -> str:
    """Where the time goes."""
    lines = [f"| ms of a profiled run | {' | '.join(KINDS)} | together |", "|---" * (len(KINDS) + 2) + "|"]
    for name, shares in content["shares_ms"].items():
        cells = [f"{shares[kind]:.0f}" for kind in KINDS]
        lines.append(f"| {NAMES[name]} | {' | '.join(cells)} | {sum(shares.values()):.0f} |")
    return "\n".join(lines)


def limits_table(content: Mapping[str, Any]) -> str:
    """What the machine would need for the graph's convolutions alone, and for its traffic alone."""
    rates, work = content["rates"], content["work"]
    convolving, moving = work["gflop"] / rates["gflops"] * 1e3, work["gb"] / rates["copy_gb_s"] * 1e3
    return "\n".join(
        [
            "| limit | work of the packaged graph | this machine at most | time |",
            "|---|---|---|---|",
            f"| convolutions | {work['gflop']:.1f} GFLOP | {rates['gflops']:.0f} GFLOP/s, a product of two matrices "
            f"| {convolving:.0f} ms |",
            f"| activations read and written | {work['gb']:.2f} GB | {rates['copy_gb_s']:.1f} GB/s, a copy "
            f"| {moving:.0f} ms |",
        ]
    )


def chart(content: Mapping[str, Any]) -> str:
    """Where the time goes, as SVG."""
    rows = []
    for name, shares in content["shares_ms"].items():
        segments = [Segment(length=shares[kind], kind=kind, tooltip=f"{kind}: {shares[kind]:.0f} ms") for kind in KINDS]
        rows.append((NAMES[name], segments, f"{sum(shares.values()):.0f} ms"))
    side = content["side"]
    return stacked_chart(f"Where the time of one {side}x{side} picture goes", rows, COLOURS, label_width=180)


def _cells(timing: Timings, baseline: Timings) -> str:
    ratios = timing.speed_ups_over(baseline)
    return f"{timing.median_ms:.0f} ms | {median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
