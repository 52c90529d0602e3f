"""What `efdn-profile` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING

import typer

from cli.layout import line_length

if TYPE_CHECKING:
    from engines.profiling.percentiles import Summary
    from engines.profiling.record import Profile
    from engines.profiling.result import Lane, ShapeProfile, Start

LINE_LENGTH = 100
INDENT = "  "
LONGEST_NAME = 24
"""A longer one has a line to itself, with the figures below it."""

MOST_LAYERS = 8
NOTHING = "-"


def show_profile(profile: Profile) -> None:
    """Tables for each shape, then what to be wary of."""
    from engines.profiling.advice import FAILED, grouped

    machine = profile.machine
    typer.echo(f"{machine['processor']}, {machine['usable_cores']} cores" + "".join(_gpus(profile)))
    for shape in profile.shapes:
        typer.echo("\n" + "\n".join(_shape(shape, layers=profile.settings.layers)))
    if profile.warnings:
        typer.echo("\nwarnings")
        failures = [warning for warning in profile.warnings if warning.kind == FAILED]
        for failure in failures:
            typer.echo("\n".join(_wrapped(str(failure))))
        for title, lines in grouped([warning for warning in profile.warnings if warning not in failures]):
            typer.echo("\n".join(_wrapped(title)))
            typer.echo("\n".join(part for line in lines for part in _wrapped(line, indent=INDENT * 2)))
    typer.echo("")


def _gpus(profile: Profile) -> Iterator[str]:
    for gpu in profile.gpus:
        yield f"; {gpu.name}" + ("" if gpu.driver_version is None else f", driver {gpu.driver_version}")


def percentiles(summary: Summary) -> list[str]:
    """p95 and p99, where there are as many runs as it takes for them to be more than the slowest one."""
    enough = ((summary.p95, 20), (summary.p99, 100))
    return [milliseconds(value) if summary.count >= runs else NOTHING for value, runs in enough]


def _shape(shape: ShapeProfile, *, layers: bool) -> Iterator[str]:
    ran = [lane for lane in shape.lanes if lane.rounds]
    yield f"{shape.title}" + (f", ms; 1x is {shape.reference}" if shape.reference is not None else "")
    if ran:
        yield from _table("engine", FIGURES, [(lane.name, _figures(lane, shape)) for lane in ran])
        if any(lane.samples("h2d") for lane in ran):
            yield ""
            yield from _table("stages", STAGE_NAMES, [(lane.name, _stages(lane)) for lane in ran])
        yield ""
        yield from _table("starts, memory", STARTS, [(lane.name, _starts(lane)) for lane in ran])
    yield from _files(shape)
    for lane in shape.lanes:
        yield from _notes(lane, layers=layers)


FIGURES = ("median", "p95", "p99", "cv", "end to end", "pict/s", "faster", "max diff")


def _figures(lane: Lane, shape: ShapeProfile) -> list[str]:
    compute, whole = lane.summary("compute"), lane.summary("end_to_end")
    ratio = shape.ratio(lane)
    assert compute is not None
    assert whole is not None
    return [
        milliseconds(compute.median),
        *percentiles(compute),
        f"{compute.cv:.0%}",
        milliseconds(whole.median),
        _three_digits(shape.pictures_per_s(lane)),
        NOTHING if ratio is None or ratio.compute is None else f"{ratio.compute:.2f}x",
        NOTHING if lane.difference is None else str(lane.difference.grey_levels),
    ]


STAGE_NAMES = ("to device", "network", "from device", "rest", "start of network")


def _stages(lane: Lane) -> list[str]:
    columns = (lane.samples("h2d"), lane.samples("compute"), lane.samples("d2h"), lane.rest(), lane.samples("enqueue"))
    return [milliseconds(median(samples)) if samples else NOTHING for samples in columns]


STARTS = ("cold", "open", "run", "warm", "open", "run", "host peak", "grown", "GPU")


def _starts(lane: Lane) -> list[str]:
    memory = lane.memory
    sizes = (None, None) if memory is None else (memory.host_peak, memory.device_used)
    return [*_start(lane.cold), *_start(lane.warm), *map(megabytes, (sizes[0], lane.host_growth, sizes[1]))]


def _start(start: Start | None) -> list[str]:
    if start is None:
        return [NOTHING] * 3
    return [milliseconds(value) for value in (start.total_ms, start.open_ms, start.first_ms)]


def _files(shape: ShapeProfile) -> Iterator[str]:
    found = [("read the picture", shape.decode_ms), ("write the result", shape.encode_ms)]
    said = [f"{milliseconds(median(times))} ms to {what}" for what, times in found if times]
    if said and any(lane.rounds for lane in shape.lanes):
        yield f"{INDENT}beside that, as PNG files: {', '.join(said)}"


def _notes(lane: Lane, *, layers: bool) -> Iterator[str]:
    if lane.opened is not None and lane.opened.passed_over:
        yield from _wrapped(f"{lane.name} was chosen; passed over {', '.join(lane.opened.passed_over)}")
    if not layers or not lane.rounds:
        return
    if not lane.layers:
        yield f"{INDENT}{lane.name} does not tell the times of its layers"
        return
    total = sum(layer.ms for layer in lane.layers)
    slowest = sorted(lane.layers, key=lambda layer: -layer.ms)[:MOST_LAYERS]
    yield f"{INDENT}{lane.name}: the slowest of {len(lane.layers)} layers, {milliseconds(total)} ms together"
    for layer in slowest:
        yield f"{INDENT * 2}{milliseconds(layer.ms):>8}  {layer.ms / total if total else 0:4.0%}  {layer.name[:78]}"


def _table(title: str, header: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    """Names on the left, figures on the right."""
    first = max(len(name) for name in (title, *(name for name, _ in rows)) if len(name) <= LONGEST_NAME)
    widths = [max(map(len, column)) for column in zip(header, *(cells for _, cells in rows), strict=True)]

    def line(name: str, cells: Sequence[str]) -> str:
        return f"{INDENT}{name:<{first}}" + "".join(
            f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True)
        )

    yield line(title, header)
    for name, cells in rows:
        if len(name) > LONGEST_NAME:
            yield f"{INDENT}{name}"
        yield line("" if len(name) > LONGEST_NAME else name, cells)


def _wrapped(text: str, indent: str = INDENT) -> list[str]:
    return wrap(
        text,
        line_length(LINE_LENGTH),
        initial_indent=indent,
        subsequent_indent=indent + INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def milliseconds(value: float) -> str:
    """A time, with as many digits as say something."""
    return f"{value:.{2 if value < 100 else 1 if value < 1000 else 0}f}"


def megabytes(value: int | None) -> str:
    """A size, or nothing."""
    return NOTHING if value is None else f"{value / 1e6:.0f} MB"


def _three_digits(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
