"""What an examination comes to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from efdn.version import __version__
from engines.doctor.examine import Examination
from engines.doctor.readiness import build_command, ready_runtimes
from engines.doctor.remedies import in_one_line, install_extra
from engines.doctor.verdicts import Verdict
from engines.registry import find_engine

SCHEMA = 1

TOLD = re.compile(
    r"(onnxruntime|ort-nightly|tensorrt|nvidia-cudnn|cuda)\b.*|pycuda|torch|onnx|openvino|numpy|pillow|safetensors"
)
"""Distributions whose versions are part of the JSON."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The end of it.

    Attributes:
        running: engines that run, or that have all they need where none was tried; a file's with its name.
        preferred: the one that is used unless another is asked for.
        because: why it is.
        next: commands to go on with.
        failure: what did not run of what had to, in one line; None if nothing.
    """

    running: tuple[str, ...]
    preferred: str | None
    because: str
    next: tuple[str, ...]
    failure: str | None


def summarise(examination: Examination) -> Summary:
    """Which engines run, which is used, and what to do next."""
    good = [verdict for verdict in examination.verdicts if verdict.good]
    usual = [verdict for verdict in good if not find_engine(verdict.engine).on_request]
    files = [verdict for verdict in usual if verdict.model is not None]
    preferred = next(iter(files or [verdict for verdict in usual if _packaged(verdict)]), None)
    return Summary(
        running=tuple(_name(verdict) for verdict in good),
        preferred=None if preferred is None else _name(preferred),
        because="" if preferred is None else _because(examination, preferred),
        next=_next(examination, preferred),
        failure=_failure(examination, good, _next(examination, preferred)),
    )


def as_json(examination: Examination) -> dict[str, Any]:
    """All of it as plain values."""
    machine, summary = examination.machine, summarise(examination)
    return {
        "schema": SCHEMA,
        "efdn": __version__,
        "python": machine.python,
        "system": machine.system,
        "gpus": [] if machine.driver is None else [vars(gpu) for gpu in machine.driver.gpus],
        "versions": {name: version for name, version in sorted(machine.distributions.items()) if TOLD.fullmatch(name)},
        "tried": examination.tried,
        "findings": [finding.as_json() for finding in examination.findings],
        "engines": [verdict.as_json() for verdict in examination.verdicts],
        "running": list(summary.running),
        "preferred": summary.preferred,
        "because": summary.because,
        "next": list(summary.next),
        "exit_code": 0 if summary.failure is None else 1,
    }


def _name(verdict: Verdict) -> str:
    return verdict.engine if verdict.model is None else f"{verdict.engine} ({verdict.model})"


def _packaged(verdict: Verdict) -> bool:
    """Whether an engine runs without a file being given; the one for engine files never does."""
    return verdict.engine != "tensorrt"


def _because(examination: Examination, preferred: Verdict) -> str:
    if preferred.model is not None:
        return f"it runs {preferred.model}"
    usual = (verdict for verdict in examination.verdicts if verdict.model is None and _packaged(verdict))
    names = [verdict.engine for verdict in usual if not find_engine(verdict.engine).on_request]
    return f"it is the first of {', '.join(names)} that {'runs' if examination.tried else 'can'}"


def _failure(examination: Examination, good: Sequence[Verdict], commands: Sequence[str]) -> str | None:
    """Why the exit code is not 0: nothing runs, or a file that was given does not."""
    if not good:
        return f"no engine can run here: {in_one_line(commands)}"
    given = dict.fromkeys(verdict.model for verdict in examination.verdicts if verdict.model is not None)
    idle = [name for name in given if all(verdict.model != name for verdict in good)]
    return f"{', '.join(idle)} cannot run here: the reasons stand under engines" if idle else None


def _next(examination: Examination, preferred: Verdict | None) -> tuple[str, ...]:
    runtimes = ready_runtimes(examination.machine)
    build = build_command(examination.machine, runtimes[0]).splitlines() if runtimes else []
    if preferred is None:
        remedies = [verdict.remedy for verdict in examination.verdicts if verdict.engine == "onnxruntime-cpu"]
        remedy = next(filter(None, remedies), None) or install_extra(examination.machine, "cpu")
        return (*build, *remedy.splitlines())
    if preferred.model is not None:
        photo = "photo.jpg" if preferred.takes is None else f"PHOTO_OF_{preferred.takes}.png"
        return (f"efdn-infer {photo} --model {shlex.quote(preferred.path or preferred.model)}",)
    return ("efdn-infer photo.jpg", *build)
