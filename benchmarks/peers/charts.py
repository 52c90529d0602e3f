"""Recorded figures as SVG: bars at one shape, and curves over pixels."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.line_chart import Panel, Point, line_chart
from benchmarks.peers.rows import EFDN
from benchmarks.peers.table import Content, milliseconds, told_shape
from efdn.html import bar_chart

COLOURS = ("#8a8f98", "#d9822b", "#2f9d6e", "#4a7fc1", "#9a6fc0")
"""The baseline's first; to be seen on white and on black."""

LABEL_WIDTH = 250


def bars(content: Content) -> str:
    """Times end to end over the baseline's at the shape that stands for all, the fastest of EFDN set apart."""
    shape = told_shape(content)
    figures = {} if shape is None else shape["figures"]
    rows = [row for row in content["rows"] if figures.get(row["key"], {}).get("ratio") is not None]
    own = [row for row in rows if row["network"] == EFDN]
    best = max(own, key=lambda row: figures[row["key"]]["ratio"], default=None)
    # Not the medians in ms: these are of rounds between which the machine's speed may have changed.
    drawn = [(row["name"], 1 / figures[row["key"]]["ratio"], _value(figures[row["key"]])) for row in rows]
    title = (
        "" if shape is None else f": {shape['title']} to {_upscaled(shape)}, {content['machine']['usable_cores']} cores"
    )
    return bar_chart(
        f"Time of one picture over PyTorch eager's, end to end{title}",
        drawn,
        best=None if best is None else best["name"],
        label_width=LABEL_WIDTH,
    )


def curves(content: Content) -> str:
    """Time and memory over pixels of the rows that were measured at many sizes."""
    names = {row["key"]: row["name"] for row in content["rows"] if row["scaling"]}
    times = {names[key]: _points(content, key, "end_to_end_ms", 1.0) for key in names}
    memory = {names[key]: _points(content, key, "memory_bytes", 1e-6) for key in names}
    across = "thousand pixels of the small picture (both axes logarithmic)"
    panels = [
        Panel(title="End to end, ms", across=across, lines=_drawn(times), label=lambda ms: f"{ms:,g}"),
        Panel(title="Growth of the process, MB", across=across, lines=_drawn(memory), label=lambda size: f"{size:,g}"),
    ]
    shown = dict(zip(names.values(), COLOURS, strict=False))
    return line_chart("Time and memory as pictures grow", panels, shown)


def _points(content: Content, key: str, field: str, unit: float) -> list[Point]:
    """(thousands of pixels, value) wherever a row was measured."""
    found = []
    for shape in content["shapes"]:
        value = shape["figures"].get(key, {}).get(field)
        if value:
            found.append((shape["shape"][0] * shape["shape"][1] / 1e3, value * unit))
    return found


def _drawn(lines: dict[str, list[Point]]) -> dict[str, list[Point]]:
    return {name: points for name, points in lines.items() if points}


def _value(figures: dict[str, Any]) -> str:
    return f"{figures['ratio']:.1f}x ({milliseconds(figures['end_to_end_ms'])} ms)"


def _upscaled(shape: dict[str, Any]) -> str:
    height, width = shape["shape"]
    scale = next((lane["opened"]["scale"] for lane in shape["raw"]["engines"] if lane["opened"] is not None), 1)
    return f"{scale * height}x{scale * width}"
