"""The whole check in order: look around, files, engines, exactness, times, tests; results after each shape."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_check.builds import build_engines
from benchmarks.gpu_check.exactness import measure_exactness
from benchmarks.gpu_check.files import GraphFile, graphs, prepare
from benchmarks.gpu_check.gpu_tests import run_gpu_tests
from benchmarks.gpu_check.interpreters import Interpreter, look_at
from benchmarks.gpu_check.record import Findings, table_of, write_findings
from benchmarks.gpu_check.subjects import subjects
from efdn.caches import VARIABLE
from efdn.errors import EngineError
from efdn.files import check_target
from efdn.shapes import Side
from engines.nvidia_smi import query_gpus
from engines.profiling.measure import Settings, measure_shape
from engines.worker.client import Worker

BUILDS_SHARE = 0.5
"""Of the time: until when engines are built."""

GROWTH = 1.3
"""How much longer the next shape may take than the longest so far."""

LEAST_LIMIT_S = 30.0


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
        OutputError: the results cannot be written.
    """
    started = time.monotonic()
    end = started + 60 * plan.minutes
    gpus = query_gpus()
    if not gpus and not plan.rehearsal:
        raise EngineError(
            "no NVIDIA GPU here (nvidia-smi tells of none): nothing was measured and nothing written; "
            "'efdn-doctor' says more, --rehearse goes through it on the CPU"
        )
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # As nvidia-smi counts.
    os.environ.setdefault(VARIABLE, str(plan.files.resolve() / "cache"))  # Nothing is left in the user's.
    plan.results.mkdir(parents=True, exist_ok=True)
    check_target(plan.results / "gpu_check.json")  # Before the work, not after it.
    interpreters = look_at(plan.pythons)
    for python in interpreters:
        print(f"Python {python.version}: {', '.join(f'{k} {v}' for k, v in python.packages.items())}", flush=True)
    found = Findings(gpus=gpus, interpreters=interpreters, rehearsal=plan.rehearsal, started=started)
    if not plan.rehearsal:
        capability = gpus[0].compute_capability
        architecture = None if capability is None else f"sm{capability.replace('.', '')}"
        files = _present_files(plan, interpreters)
        until = started + BUILDS_SHARE * (end - started)
        found.builds = build_engines(interpreters, files, plan.files, architecture, until)
    _measure(plan, found, end)
    if not plan.rehearsal:
        found.tests = run_gpu_tests(interpreters, end)
    print(f"\n{table_of(found)}", flush=True)
    if not found.measured:  # Results that are there already are worth more than none.
        print("nothing was measured, and nothing written", flush=True)
        return False
    paths = write_findings(plan.results, found)
    print(f"written to {paths[0]} and {paths[1]}", flush=True)
    return True


def _measure(plan: Plan, found: Findings, end: float) -> None:
    """All shapes, the challenge's first, and what there is of results after each."""
    longest = 0.0

    def start(python: Path | None, environment: Mapping[str, str]) -> Worker:
        return Worker(python, environment, limit_s=max(LEAST_LIMIT_S, end - time.monotonic()))

    for shape in sorted(plan.shapes, key=lambda side: side != (339, 510)):
        planned, missing = subjects(
            found.interpreters, found.builds, shape, memory_bytes=found.memory_bytes, rehearsal=plan.rehearsal
        )
        found.absent += missing
        if not found.exactness:
            found.exactness = measure_exactness(planned, shape)
        begun = time.monotonic()
        if begun + GROWTH * longest > end:
            found.absent.append("{}x{}: no time was left".format(*shape))
            continue
        print("measuring {}x{} ...".format(*shape), flush=True)
        settings = Settings(seconds=plan.seconds, starts=False)
        found.profiles.append(measure_shape(planned, shape, settings, start=start))
        found.profiles.sort(key=lambda profile: profile.shape)
        longest = max(longest, time.monotonic() - begun)
        if found.measured:
            write_findings(plan.results, found)


def _present_files(plan: Plan, interpreters: tuple[Interpreter, ...]) -> tuple[GraphFile, ...]:
    """The graphs, exported now where they are missing and this Python can."""
    wanted = graphs(plan.shapes)
    missing = [graph for graph in wanted if not (plan.files / graph.name).exists()]
    if missing and interpreters[0].has("torch", "onnx", "onnxruntime"):
        prepare(plan.files, plan.shapes, only_missing=True)
    elif missing:
        print(f"{len(missing)} ONNX files are missing in {plan.files}: make them with --prepare", flush=True)
    return tuple(graph for graph in wanted if (plan.files / graph.name).exists())
