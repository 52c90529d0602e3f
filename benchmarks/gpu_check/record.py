"""The results: one JSON and a table to read."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.builds import Build
from benchmarks.gpu_check.exactness import Exactness
from benchmarks.gpu_check.interpreters import Interpreter
from benchmarks.gpu_check.targets import Verdict, bound_ms, judge
from efdn.files import staged, write_json
from engines.doctor.privacy import private
from engines.nvidia_smi import GpuState
from engines.profiling.machine import commit, machine
from engines.profiling.result import Lane, ShapeProfile

SCHEMA = 1

KEPT_RUNS = 200
"""Raw times that are kept for each engine and stage; figures are of all of them."""


@dataclass(kw_only=True)
class Findings:
    """What was found so far.

    Attributes:
        gpus: at the start; none in a rehearsal.
        interpreters: Pythons that took part.
        rehearsal: whether all this was on the CPU.
        started: by `time.monotonic`.
        builds: engines.
        exactness: of float outputs, the baseline first.
        profiles: times, a shape each.
        tests: what became of them.
        absent: what did not take part, and why.
    """

    gpus: tuple[GpuState, ...]
    interpreters: tuple[Interpreter, ...]
    rehearsal: bool
    started: float
    builds: tuple[Build, ...] = ()
    exactness: tuple[Exactness, ...] = ()
    profiles: list[ShapeProfile] = field(default_factory=list)
    tests: dict[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    @property
    def gpu(self) -> str | None:
        """Its name."""
        return self.gpus[0].name if self.gpus else None

    @property
    def measured(self) -> bool:
        """Whether any engine ran."""
        return any(lane.rounds for profile in self.profiles for lane in profile.lanes)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On all targets."""
        return judge(self.profiles, self.exactness, self.gpu)

    @property
    def memory_bytes(self) -> int | None:
        """Of the GPU."""
        return self.gpus[0].memory_total_bytes if self.gpus else None

    def as_json(self) -> dict[str, Any]:
        """Plain values, without anybody's paths."""
        content = {
            "schema": SCHEMA,
            "command": "make gpu-check",
            "rehearsal": self.rehearsal,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": commit(),
            "gpus": [state.as_json() for state in self.gpus],
            "machine": machine(),
            "interpreters": [python.as_json() for python in self.interpreters],
            "tests": self.tests,
            "builds": [build.as_json() for build in self.builds],
            "exactness": [entry.as_json() for entry in self.exactness],
            "profiles": [thinned(profile.as_json()) for profile in self.profiles],
            "targets": [verdict.as_json() for verdict in self.verdicts],
            "absent": list(dict.fromkeys(self.absent)),
            "minutes": round((time.monotonic() - self.started) / 60, 2),
        }
        result: dict[str, Any] = without_paths(content)
        return result


def write_findings(folder: Path, found: Findings) -> tuple[Path, Path]:
    """Writes `gpu_NAME.json` and `gpu_NAME.md`, whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    name = found.gpu or "rehearsal"
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    paths = folder / f"gpu_{stem}.json", folder / f"gpu_{stem}.md"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(paths[0], found.as_json())
    with staged(paths[1]) as temporary:
        temporary.write_text(table_of(found), encoding="utf-8")
    return paths


def table_of(found: Findings) -> str:
    """What was found, as Markdown."""
    title = f"{found.gpu or 'Rehearsal without a GPU'}, {datetime.now(timezone.utc).date()}"
    return table(title, found.profiles, found.verdicts, found.absent, found.gpu)


def without_paths(value: Any, key: str = "") -> Any:
    """Plain values with homes, temporary folders and users' names taken out of all texts, and files by their name."""
    if isinstance(value, dict):
        return {name: without_paths(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(entry) for entry in value]
    if not isinstance(value, str):
        return value
    if key == "model":
        return re.split(r"[\\/]", value)[-1]
    text = value.replace(tempfile.gettempdir(), "<temporary>")
    return private(re.sub(r"pytest-of-[^\\/]+", "pytest-of-somebody", text))


def thinned(profile: dict[str, Any]) -> dict[str, Any]:
    """A shape's results with evenly chosen raw times, rounded to a tenth of a microsecond."""
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
