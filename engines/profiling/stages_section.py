"""Stages of a run, starts and memory as parts of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median

from efdn.html import Segment, stacked_chart, table, wide
from engines.profiling.figures_table import LONGEST_LABEL, fitted, milliseconds
from engines.profiling.percentiles import summarize
from engines.profiling.result import Lane, Start

STAGES = {"to the device": "#9a6fc0", "network": "#4a7fc1", "from the device": "#d9a021", "rest": "#8a8f98"}
STARTS = {"process": "#8a8f98", "packages and model": "#9a6fc0", "first run": "#4a7fc1"}
NAME_WIDTH = 250

STAGE_TEXT = (
    "Medians of each stage, from 8-bit picture to 8-bit picture. Engines on the CPU have no copies; 'rest' is the "
    "conversion between pictures and floats on the host, copies into page-locked memory, and waiting."
)
START_TEXT = (
    "From the start of a process to its first upscaled picture: the first time with empty caches, the second time with "
    "what the first one left there. Files of the engine are as the operating system had them in memory, in both cases."
)
MEMORY_TEXT = (
    "Host memory is the largest resident size of the engine's process, and by how much it is larger than just before "
    "the first run. Device memory is what all processes together had in use, those of the other engines among them."
)
FIGURES = ("runs", "min", "mean", "median", "p90", "p95", "p99", "max", "cv")


def stages_section(lanes: Sequence[Lane]) -> Iterator[str]:
    """Where the time of a run goes; all figures of all stages behind a fold."""
    rows = []
    for lane in lanes:
        times = _stages(lane)
        segments = [
            Segment(
                length=max(0.0, median(samples)), kind=kind, tooltip=f"{lane.name}\n{kind}: {median(samples):.3f} ms"
            )
            for kind, samples in times.items()
            if kind in STAGES
        ]
        rows.append((fitted(lane.name), segments, f"{milliseconds(median(times['end to end']))} ms"))
    told = {segment.kind for _, segments, _ in rows for segment in segments}
    colours = {kind: colour for kind, colour in STAGES.items() if kind in told}
    yield f"<h3>Stages</h3>\n<p>{escape(STAGE_TEXT)}</p>"
    yield wide(stacked_chart("End to end, ms", rows, colours, label_width=NAME_WIDTH))
    yield f"<details><summary>all figures, ms</summary>\n{wide(_all_figures(lanes))}</details>"


def starts_section(lanes: Sequence[Lane]) -> Iterator[str]:
    """How long it takes until there is a first picture; nothing where that was not timed."""
    rows = [
        (f"{fitted(lane.name, LONGEST_LABEL - 6)}, {kind}", _parts(start), f"{start.total_ms / 1e3:.2f} s")
        for lane in lanes
        for kind, start in (("cold", lane.cold), ("warm", lane.warm))
        if start is not None
    ]
    if rows:
        yield f"<h3>Starts</h3>\n<p>{escape(START_TEXT)}</p>"
        yield wide(stacked_chart("To the first picture, s", rows, STARTS, label_width=NAME_WIDTH))


def memory_section(lanes: Sequence[Lane]) -> Iterator[str]:
    """How much memory they took; columns that no engine can fill are left out."""
    measured = [(lane, lane.memory) for lane in lanes if lane.memory is not None]
    columns: dict[str, list[int | None]] = {
        "host, peak": [memory.host_peak for _, memory in measured],
        "grown by": [lane.host_growth for lane, _ in measured],
        "device, in use": [memory.device_used for _, memory in measured],
        "device, total": [memory.device_total for _, memory in measured],
    }
    told = {name: sizes for name, sizes in columns.items() if any(size is not None for size in sizes)}
    if told:
        cells = zip(*([_megabytes(size) for size in sizes] for sizes in told.values()), strict=True)
        rows = [[lane.name, *row] for (lane, _), row in zip(measured, cells, strict=True)]
        yield f"<h3>Memory</h3>\n<p>{escape(MEMORY_TEXT)}</p>"
        yield wide(table(["engine", *told], rows))


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f} MB"


def _stages(lane: Lane) -> dict[str, list[float]]:
    """Milliseconds by stage, of the stages that the engine tells apart."""
    stages = {
        "to the device": lane.samples("h2d"),
        "network": lane.samples("compute"),
        "from the device": lane.samples("d2h"),
        "rest": lane.rest(),
        "start of network": lane.samples("enqueue"),
        "end to end": lane.samples("end_to_end"),
    }
    return {name: samples for name, samples in stages.items() if samples}


def _all_figures(lanes: Sequence[Lane]) -> str:
    rows = []
    for lane in lanes:
        for name, samples in _stages(lane).items():
            found = summarize(samples)
            values = (found.min, found.mean, found.median, found.p90, found.p95, found.p99, found.max)
            rows.append([lane.name, name, found.count, *map(milliseconds, values), f"{found.cv:.1%}"])
    return table(["engine", "stage", *FIGURES], rows, words=(1,))


def _parts(start: Start) -> list[Segment]:
    rest = max(0.0, start.total_ms - start.open_ms - start.first_ms)
    parts = zip(STARTS, (rest, start.open_ms, start.first_ms), strict=True)
    return [Segment(length=ms, kind=kind, tooltip=f"{kind}: {ms:.0f} ms") for kind, ms in parts]
