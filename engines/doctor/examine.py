"""The whole examination."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines.doctor.bindings import find_bindings
from engines.doctor.finding import Finding, State, cleaned
from engines.doctor.frameworks import find_frameworks
from engines.doctor.gpus import find_gpus
from engines.doctor.look import ask, installed_probes, look_at_machine
from engines.doctor.machine import Machine
from engines.doctor.onnx_runtimes import find_cudnn, find_onnxruntime
from engines.doctor.tensorrts import find_tensorrts
from engines.doctor.toolkit import find_cache, find_toolkit
from engines.doctor.trials import Attempt, Trial, attempt
from engines.doctor.verdicts import Verdict, expected, judged, weights_of
from engines.registry import ENGINES, EngineEntry, model_kind
from engines.select import PACKAGED

AT_ONCE = 2
LARGEST_COMPARED = 512 * 512
"""Pixels: a CPU engine takes up to 2.4 GB for as many."""

FINDERS: tuple[Callable[[Machine], list[Finding]], ...] = (
    find_toolkit,
    find_gpus,
    find_bindings,
    find_tensorrts,
    find_onnxruntime,
    find_cudnn,
    find_frameworks,
    find_cache,
)

Progress = Callable[[float, str], None]
Ask = Callable[[str], dict[str, Any]]
Tasks = dict[str, Callable[[], Any]]


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found.

    Attributes:
        machine: that was looked at.
        findings: in the order in which they are shown.
        verdicts: on engines; first those on model files that were given, then those on the packaged model.
        tried: whether engines were run, rather than looked at.
    """

    machine: Machine
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]
    tried: bool

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(finding for finding in self.findings if finding.state is State.PROBLEM)


def findings_on(machine: Machine) -> tuple[Finding, ...]:
    """All that is to be said of a machine, fit to be shown to anybody."""
    return cleaned(finding for find in FINDERS for finding in find(machine))


def examine(
    models: Sequence[Path] = (),
    *,
    everything: bool = False,
    quick: bool = False,
    progress: Progress = lambda share, what: None,
    attempt: Attempt = attempt,
    ask: Ask = ask,
) -> Examination:
    """Looks at this machine and tries its engines.

    Args:
        models: files to try as well.
        everything: whether to try engines too that are only there on request.
        quick: whether to try none, and tell from what is installed.
        progress: is told the share done and what has been.
        attempt: tries an engine; tests have one of their own.
        ask: asks a probe; likewise.

    Raises:
        EngineError: a model file is missing or of no known kind.
    """
    kinds = {model: model_kind(model) for model in dict.fromkeys(models)}
    entries = [entry for entry in ENGINES if entry.network and (everything or not entry.on_request)]
    pairs: list[tuple[str, Path | None]] = []
    if not quick:
        pairs += [(entry.name, model) for model, kind in kinds.items() for entry in entries if entry.reads is kind]
        pairs += [(entry.name, None) for entry in entries if entry.reads in PACKAGED]
    probes = installed_probes()
    # Trials first: they take longest.
    tasks: Tasks = {_title(name, model): partial(attempt, name, model, None) for name, model in pairs}
    tasks.update({f"probe of {name}": partial(ask, name) for name in probes})
    answers = _run(tasks, progress)
    machine = look_at_machine({name: answers[f"probe of {name}"] for name in probes})
    trials: list[Trial] = [answers[_title(name, model)] for name, model in pairs]
    trials.sort(key=lambda trial: trial.model is None)
    verdicts = _verdicts(machine, trials, entries, attempt)
    return Examination(machine=machine, findings=findings_on(machine), verdicts=verdicts, tried=not quick)


def _verdicts(
    machine: Machine, trials: Sequence[Trial], entries: Sequence[EngineEntry], attempt: Attempt
) -> tuple[Verdict, ...]:
    """Verdicts on engines that were tried and on those that were not, as `Examination` has them."""
    others = [*_references(trials, attempt), *trials]
    verdicts = [judged(machine, trial, _reference_for(trial, others)) for trial in trials]
    told = {trial.engine for trial in trials}
    verdicts += [expected(machine, entry, tried=bool(trials)) for entry in entries if entry.name not in told]
    order = [entry.name for entry in ENGINES]
    return tuple(sorted(verdicts, key=lambda verdict: (verdict.model is None, order.index(verdict.engine))))


def _title(engine: str, model: Path | None) -> str:
    return engine if model is None else f"{engine} on {model}"


def _run(tasks: Tasks, progress: Progress) -> dict[str, Any]:
    """Results of tasks by title, two at work at a time."""
    results = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(task): title for title, task in tasks.items()}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                results[futures[future]] = future.result()
                progress(done / len(tasks), futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Or an interrupted command would start the rest.
            raise
    return results


def _references(trials: Sequence[Trial], attempt: Attempt) -> list[Trial]:
    """Runs of the packaged model on pictures as large as files with its weights were tried on."""
    first = next((trial for trial in trials if trial.model is None and trial.result is not None), None)
    if first is None:
        return []
    shapes = {
        trial.shape
        for trial in trials
        if trial.model is not None and trial.result is not None and weights_of(trial.model) == weights_of(None)
    }
    small = sorted(shape for shape in shapes - {first.shape} if math.prod(shape) <= LARGEST_COMPARED)
    return [attempt(first.engine, None, shape) for shape in small]


def _reference_for(trial: Trial, others: Iterable[Trial]) -> Trial | None:
    """The first engine that ran the same weights on the same picture, if it is not this one."""
    weights = weights_of(trial.model)
    alike = (
        other
        for other in sorted(others, key=lambda other: other.model is not None)
        if other.result is not None and other.shape == trial.shape and weights_of(other.model) == weights
    )
    first = next(alike, None)
    return None if first is trial else first
