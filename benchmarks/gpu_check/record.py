"""The results: one JSON and a table to read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.targets import Verdict, bound_ms
from efdn.files import staged, write_json
from engines.profiling.result import Lane, ShapeProfile

KEPT_RUNS = 200
"""Raw times that are kept for each engine and stage; figures are of all of them."""


def write_results(folder: Path, name: str, content: dict[str, Any], table: str) -> tuple[Path, Path]:
    """Writes `NAME.json` and `NAME.md`.

    Raises:
        OutputError: the folder cannot be written.
    """
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    paths = folder / f"gpu_{stem}.json", folder / f"gpu_{stem}.md"
    write_json(paths[0], content)
    with staged(paths[1]) as temporary:
        temporary.write_text(table, encoding="utf-8")
    return paths


def thinned(profile: dict[str, Any]) -> dict[str, Any]:
    """A shape's results with every so manieth raw time, rounded to a tenth of a microsecond."""
    for engine in profile["engines"]:
        counts = [sum(map(len, rounds)) for rounds in engine["rounds_ms"].values()]
        step = max(1, -(-max(counts, default=0) // KEPT_RUNS))
        engine["raw_every"] = step
        engine["rounds_ms"] = {
            stage: [[round(value, 4) for value in row[::step]] for row in rounds]
            for stage, rounds in engine["rounds_ms"].items()
        }
    return profile


def table(
    title: str,
    profiles: Sequence[ShapeProfile],
    verdicts: Sequence[Verdict],
    absent: Sequence[str],
    gpu: str | None,
) -> str:
    """Everything a reader wants first, as Markdown."""
    lines = [f"# {title}", ""]
    for profile in profiles:
        bound = bound_ms(profile, gpu)
        lines += [
            f"## {profile.title}" + ("" if bound is None else f" (bound of fused epilogues {bound:.2f} ms)"),
            "",
            "| engine | compute, median | p95 | end to end | H2D | D2H | enqueue | faster than the first | levels |",
            "|---|---|---|---|---|---|---|---|---|",
            *[_row(profile, lane) for lane in profile.lanes],
            "",
        ]
    lines += ["## Targets", "", "| target | measured | met |", "|---|---|---|"]
    met = {True: "yes", False: "**no**", None: "open"}
    lines += [f"| {verdict.target} | {verdict.measured} | {met[verdict.met]} |" for verdict in verdicts]
    if absent:
        lines += ["", "## Absent", "", *[f"- {reason}" for reason in dict.fromkeys(absent)]]
    return "\n".join(lines) + "\n"


def _row(profile: ShapeProfile, lane: Lane) -> str:
    if lane.error is not None or not lane.rounds:
        return f"| {lane.name} | did not run: {(lane.error or 'no samples').splitlines()[0]} | | | | | | | |"
    compute = lane.summary("compute")
    assert compute is not None
    medians = [lane.summary(stage) for stage in ("end_to_end", "h2d", "d2h", "enqueue")]
    ratio = profile.ratio(lane)
    cells = [
        lane.name,
        f"{compute.median:.3f} ms",
        f"{compute.p95:.3f}",
        *["" if summary is None else f"{summary.median:.3f}" for summary in medians],
        "" if ratio is None else f"{ratio.compute:.2f}x",
        "" if lane.difference is None else str(lane.difference.grey_levels),
    ]
    return f"| {' | '.join(cells)} |"
