"""A profile as a page to look at."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from html import escape
from statistics import median

from efdn.html import page, section, table, wide
from engines.profiling.advice import FAILED, Warn, grouped
from engines.profiling.distribution_chart import distribution_chart
from engines.profiling.figures_table import figures_table, fitted, milliseconds
from engines.profiling.layers_section import layers_section
from engines.profiling.measure import FEWEST_ROUNDS, ROUNDS
from engines.profiling.record import Profile
from engines.profiling.result import ShapeProfile
from engines.profiling.stages_section import memory_section, stages_section, starts_section

STYLE = """
body { max-width: 70rem; }
h1, .facts .words, li { overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; }
.wide table { font-size: .875rem; }
.wide th, .wide td { padding: .25rem .5rem; }
.wide th, .wide td { white-space: nowrap; }
.wide th:first-child, .wide td:first-child { position: sticky; left: 0; background: Canvas; }
@media (max-width: 45rem) { .wide th:first-child, .wide td:first-child { position: static; } }
th.group { text-align: center; border-bottom: 0; }
summary { cursor: pointer; padding: .25rem 0; }
.facts th, .facts td { vertical-align: top; }
.facts td.words { white-space: normal; }
td.good { color: light-dark(#1f7a52, #6fd0a4); }
td.bad { color: light-dark(#b3261e, #ff8a80); font-weight: 600; }
.warnings { border-left: .4rem solid #d9a021; background: #d9a02122; padding: .75rem 1rem .75rem 2rem; }
.failures { border-left: .4rem solid #d8483e; background: #d8483e22; padding: .75rem 1rem .75rem 2rem; }
"""

LONGEST_TITLE = 60

DISTRIBUTION = (
    "Each row holds all runs of an engine in the steady state; the height of a bar is how many runs took that long, "
    "as a share of the fullest bar of its row. Time is that of the network alone; where engines differ a lot, its axis "
    "is logarithmic."
)
METHOD = (
    "Every engine runs in a process of its own, started twice; the second process warms up for {warm_up:g} s and is "
    "then measured for about {seconds:g} s in {rounds} rounds, or in {fewest} at least where runs are slow. In a round "
    "all engines take turns, in an order that rotates, and each runs at least once. 'Times as fast' is the median over "
    "the rounds of the ratio of the two medians in that round, so that a machine whose speed drifts does not bend it. "
    "Percentiles are interpolated linearly between samples; cv is the standard deviation over the mean. Pictures a "
    "second are one call after the other, end to end, without reading and writing files; megapixels are of the "
    "upscaled pictures. The stages of a GPU are timed on its own clock, by events on its stream; 'start of network' is "
    "the host's time to put it there. Differences are of 8-bit values on the same photo."
)


def profile_page(profile: Profile) -> str:
    """One self-contained HTML page."""
    engines = list(dict.fromkeys(lane.name for shape in profile.shapes for lane in shape.lanes))
    told = ", ".join(engines)
    title = f"Latency of {told if len(told) <= LONGEST_TITLE else f'{len(engines)} engines'}"
    return page(
        title,
        f'<div class="facts">{table(["", ""], _facts(profile), words=(1,))}</div>',
        *_failures(profile.warnings),
        *(part for shape in profile.shapes for part in _shape(shape)),
        *_warnings(profile.warnings),
        section("How it was measured", _method(profile)),
        style=STYLE,
    )


def _method(profile: Profile) -> str:
    settings = profile.settings
    text = METHOD.format(warm_up=settings.warm_up_s, seconds=settings.seconds, rounds=ROUNDS, fewest=FEWEST_ROUNDS)
    return text if settings.starts else text.replace("started twice; the second process", "which")


def _facts(profile: Profile) -> list[tuple[str, str]]:
    machine = profile.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    gpus = [f"{gpu.name}, driver {gpu.driver_version or 'unknown'}" for gpu in profile.gpus]
    facts = [
        ("date", profile.date),
        ("command", shlex.join(profile.command)),
        ("processor", f"{machine['processor']}, {machine['usable_cores']} of {machine['cores']} cores"),
        ("GPU", "; ".join(gpus) or "none that nvidia-smi knows"),
        ("versions", f"efdn {machine['efdn']}, Python {machine['python']}, {packages}"),
    ]
    return [*facts, *([("commit", profile.commit)] if profile.commit is not None else [])]


def _failures(warnings: Sequence[Warn]) -> Iterator[str]:
    failures = [warning for warning in warnings if warning.kind == FAILED]
    if failures:
        yield f'<ul class="failures">{"".join(f"<li>{escape(str(warning))}</li>" for warning in failures)}</ul>'


def _warnings(warnings: Sequence[Warn]) -> Iterator[str]:
    groups = grouped([warning for warning in warnings if warning.kind != FAILED])
    if groups:
        items = (
            f"<li>{escape(title)}<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul></li>"
            for title, lines in groups
        )
        yield f'<h2>What to be wary of</h2>\n<ul class="warnings">{"".join(items)}</ul>'


def _shape(shape: ShapeProfile) -> Iterator[str]:
    lanes = [lane for lane in shape.lanes if lane.rounds]
    yield f"<h2>{escape(shape.title)}</h2>"
    if not lanes:
        yield "<p>No engine ran.</p>"
        return
    yield wide(figures_table(shape, lanes))
    yield f"<p>{escape(_beside(shape))}</p>"
    yield f"<h3>Distribution</h3>\n<p>{escape(DISTRIBUTION)}</p>"
    yield wide(distribution_chart("The network, ms", [(fitted(lane.name), lane.samples("compute")) for lane in lanes]))
    yield from stages_section(lanes)
    yield from starts_section(lanes)
    yield from memory_section(lanes)
    yield from layers_section(lanes)


def _beside(shape: ShapeProfile) -> str:
    said = [
        f"{milliseconds(median(times))} ms to {what} a PNG file"
        for what, times in (("read such a picture from", shape.decode_ms), ("write its result to", shape.encode_ms))
        if times
    ]
    return f"Beside that, the same for all engines: {' and '.join(said)} (medians)." if said else ""
