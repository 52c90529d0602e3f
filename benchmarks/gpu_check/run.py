"""The whole check in order: look around, tests, files, engines, exactness, times, results."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.builds import Build, build_engines
from benchmarks.gpu_check.exactness import Exactness, measure_exactness
from benchmarks.gpu_check.files import GraphFile, graphs, prepare
from benchmarks.gpu_check.interpreters import Interpreter, look_at
from benchmarks.gpu_check.record import table, thinned, write_results
from benchmarks.gpu_check.subjects import subjects
from benchmarks.gpu_check.targets import judge
from efdn.errors import EngineError
from efdn.shapes import Side
from engines.nvidia_smi import query_gpus
from engines.profiling.machine import commit, machine
from engines.profiling.measure import Settings, measure_shape
from engines.profiling.result import ShapeProfile
from engines.worker.client import source_environment

SCHEMA = 1
TESTS_SHARE, BUILDS_SHARE = 0.2, 0.45
"""Of the time: until when the tests must be done, and the engines."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do.

    Attributes:
        pythons: beside this one.
        files: folder of ONNX files and engines.
        results: folder for the results.
        shapes: heights and widths.
        minutes: to stay within.
        seconds: of steady state for each engine and shape.
        rehearsal: whether to go without a GPU.
    """

    pythons: tuple[Path, ...]
    files: Path
    results: Path
    shapes: tuple[Side, ...]
    minutes: float
    seconds: float
    rehearsal: bool


def run_check(plan: Plan) -> bool:
    """Runs everything and writes the results; whether anything was measured.

    Raises:
        EngineError: there is no GPU.
    """
    started = time.monotonic()
    end = started + 60 * plan.minutes
    gpus = query_gpus()
    if not gpus and not plan.rehearsal:
        raise EngineError(
            "no NVIDIA GPU here (nvidia-smi tells of none): nothing was measured and nothing written; "
            "'efdn-doctor' says more, --rehearse goes through it on the CPU"
        )
    gpu = gpus[0].name if gpus else None
    capability = gpus[0].compute_capability if gpus else None
    architecture = None if capability is None else f"sm{capability.replace('.', '')}"
    interpreters = look_at(plan.pythons)
    for python in interpreters:
        print(f"Python {python.version}: {', '.join(f'{k} {v}' for k, v in python.packages.items())}", flush=True)
    tests = _run_tests(interpreters, started + TESTS_SHARE * (end - started)) if not plan.rehearsal else {}
    files = _present_files(plan, interpreters)
    builds: tuple[Build, ...] = ()
    if not plan.rehearsal:
        builds = build_engines(interpreters, files, plan.files, architecture, started + BUILDS_SHARE * (end - started))
    profiles, exactness, absent = _measure(plan, interpreters, builds, end)
    verdicts = judge(profiles, exactness, gpu)
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "command": ["python", "-m", "benchmarks.gpu_check"],
        "rehearsal": plan.rehearsal,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "gpus": [state.as_json() for state in gpus],
        "machine": machine(),
        "interpreters": [python.as_json() for python in interpreters],
        "tests": tests,
        "builds": [build.as_json() for build in builds],
        "exactness": [entry.as_json() for entry in exactness],
        "profiles": [thinned(profile.as_json()) for profile in profiles],
        "targets": [verdict.as_json() for verdict in verdicts],
        "absent": list(dict.fromkeys(absent)),
        "minutes": round((time.monotonic() - started) / 60, 2),
    }
    title = f"{gpu or 'Rehearsal without a GPU'}, {content['date'][:10]}"
    text = table(title, profiles, verdicts, absent, gpu)
    paths = write_results(plan.results, gpu or "rehearsal", content, text)
    print(f"\n{text}\nwritten to {paths[0]} and {paths[1]}", flush=True)
    return any(lane.rounds for profile in profiles for lane in profile.lanes)


def _measure(
    plan: Plan, interpreters: tuple[Interpreter, ...], builds: tuple[Build, ...], end: float
) -> tuple[list[ShapeProfile], tuple[Exactness, ...], list[str]]:
    profiles: list[ShapeProfile] = []
    exactness: tuple[Exactness, ...] = ()
    absent: list[str] = []
    order = sorted(plan.shapes, key=lambda side: side != (339, 510))
    longest = 0.0
    for shape in order:
        planned, missing = subjects(interpreters, builds, shape, rehearsal=plan.rehearsal)
        absent += missing
        begun = time.monotonic()
        # What a shape took once it will take again, a larger one more.
        if begun + 1.3 * longest > end:
            absent.append("{}x{}: no time was left".format(*shape))
            continue
        if not exactness:
            exactness = measure_exactness([entry for entry in planned if "no graph" not in entry.name], shape)
        print("measuring {}x{} ...".format(*shape), flush=True)
        settings = Settings(seconds=plan.seconds, starts=False)
        profiles.append(measure_shape(planned, shape, settings))
        longest = max(longest, time.monotonic() - begun)
    return sorted(profiles, key=lambda profile: profile.shape), exactness, absent


def _present_files(plan: Plan, interpreters: tuple[Interpreter, ...]) -> tuple[GraphFile, ...]:
    """The graphs, exported now where they are missing and this Python can."""
    wanted = graphs(plan.shapes)
    missing = [graph for graph in wanted if not (plan.files / graph.name).exists()]
    if missing and not plan.rehearsal:
        if interpreters[0].has("torch", "onnx"):
            prepare(plan.files, plan.shapes)
        else:
            print(f"{len(missing)} ONNX files are missing in {plan.files}: make them with --prepare", flush=True)
    return tuple(graph for graph in wanted if (plan.files / graph.name).exists())


def _run_tests(interpreters: tuple[Interpreter, ...], deadline: float) -> dict[str, Any]:
    """Tests marked `gpu`, in the first Python that has what the suite needs."""
    python = next((python for python in interpreters if python.has("pytest", "torch", "onnxruntime", "onnx")), None)
    if python is None:
        return {"run": False, "why": "no Python here has pytest, PyTorch, onnx and ONNX Runtime"}
    environment: Mapping[str, str] = source_environment()
    command = [str(python.command), "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=Path(__file__).parents[2],
            timeout=max(1.0, deadline - time.monotonic()),
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"run": False, "why": "not done in time"}
    lines = done.stdout.strip().splitlines()
    print(f"tests: {lines[-1] if lines else 'no word'}", flush=True)
    print("\n".join(line for line in lines if line.startswith(("FAILED", "ERROR"))), file=sys.stderr, flush=True)
    return {"run": True, "code": done.returncode, "summary": lines[-1] if lines else "", "tail": lines[-30:]}
