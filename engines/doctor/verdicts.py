"""Which engines run here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import EfdnError
from efdn.files import sha256_of_file
from efdn.sidecar import Sidecar, read_sidecar
from engines.doctor.machine import Machine
from engines.doctor.privacy import private
from engines.doctor.readiness import NO_GPU, build_command, engine_fault, needs_gpu, ready_runtimes
from engines.doctor.remedies import split_reason
from engines.doctor.trials import Trial, difference
from engines.registry import EngineEntry, find_engine
from engines.select import PACKAGED

ALLOWED_LEVELS, ALLOWED_LEVELS_OF = 1, {"bf16": 6}
"""Grey levels that engines may be apart, and those of a precision: what exports are held to."""


class Outcome(str, Enum):
    """What became of an engine."""

    RUNS = "runs"
    READY = "ready"
    BUILD = "ready for an engine file"
    WRONG = "wrong result"
    CRASHES = "crashes"
    NO = "does not run"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """An engine on a model, on this machine.

    Attributes:
        engine: name in the registry.
        model: name of the file; None for the packaged model.
        outcome: what became of it.
        text: versions and device, or the reason why it does not run.
        remedy: what to do.
        levels: largest difference in grey levels from the first engine that ran the same weights; None if not compared.
        path: of the model, as it was given.
        takes: the one size of pictures, width x height, that the model takes, if it is but one.
    """

    engine: str
    model: str | None
    outcome: Outcome
    text: str
    remedy: str | None = None
    levels: int | None = None
    path: str | None = None
    takes: str | None = None

    @property
    def good(self) -> bool:
        """Whether it can be used as things are."""
        return self.outcome in (Outcome.RUNS, Outcome.READY)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "outcome": self.outcome.value}


def expected(machine: Machine, entry: EngineEntry, *, tried: bool) -> Verdict:
    """The verdict on an engine that is not tried.

    Args:
        machine: where.
        entry: the engine.
        tried: whether others are, beside which one that lacks a file to be tried on must not count.
    """
    fault = engine_fault(machine, entry)
    if fault is not None:
        return _verdict(entry.name, None, Outcome.NO, fault[0], fault[1])
    if entry.reads in PACKAGED:
        return _verdict(entry.name, None, Outcome.READY, "all that it needs is here; not tried")
    runtimes = ready_runtimes(machine)
    text = "all that it needs is here but an engine file: build one, then try it with efdn-doctor FILE.engine"
    outcome = Outcome.BUILD if tried else Outcome.READY
    return _verdict(entry.name, None, outcome, text, build_command(machine, runtimes[0]))


def judged(machine: Machine, trial: Trial, reference: Trial | None) -> Verdict:
    """The verdict on an engine that was tried.

    Args:
        machine: where.
        trial: what came of it.
        reference: the first engine that ran the same weights on the same picture, if that is another one.
    """
    verdict = _judged(machine, trial, reference)
    if trial.model is None:
        return verdict
    return replace(verdict, path=private(str(trial.model)), takes=_takes(trial.model))


def _judged(machine: Machine, trial: Trial, reference: Trial | None) -> Verdict:
    name = None if trial.model is None else trial.model.name
    if trial.failure is not None:
        return _failed(machine, trial, name)
    levels = None if reference is None else difference(trial, reference)
    if levels is None or reference is None:
        return _verdict(trial.engine, name, Outcome.RUNS, trial.detail)
    allowed = ALLOWED_LEVELS_OF.get(_precision(trial.model), ALLOWED_LEVELS)
    text = f"{trial.detail}; {_compared(levels, trial, reference)}"
    if levels <= allowed:
        return _verdict(trial.engine, name, Outcome.RUNS, text, levels=levels)
    remedy = "use another engine" + ("" if name is None else f", or export {name} anew with efdn-export")
    return _verdict(trial.engine, name, Outcome.WRONG, f"{text}, {allowed} allowed", remedy, levels)


def weights_of(model: Path | None) -> str:
    """What tells weights apart: those of models that share it give the same pictures."""
    if model is None:
        return sha256_of_file(DEFAULT_WEIGHTS)
    sidecar = _sidecar(model)
    return sidecar.weights_sha256 if sidecar is not None else str(model)


def _failed(machine: Machine, trial: Trial, name: str | None) -> Verdict:
    assert trial.failure is not None
    reason, remedy = split_reason(trial.failure)
    entry = find_engine(trial.engine)
    outcome = Outcome.CRASHES if trial.crashed else Outcome.NO
    if needs_gpu(entry) and machine.gpu is None:
        about_it = name is None or "GPU" in reason or "CUDA" in reason
        return _verdict(entry.name, name, outcome, NO_GPU if about_it else f"{reason}; it also {NO_GPU}")
    fault = engine_fault(machine, entry) if name is None else None
    if fault is not None:  # It knows the machine, where the engine knows only what failed.
        return _verdict(entry.name, name, outcome, _both(reason, fault[0]), fault[1])
    return _verdict(entry.name, name, outcome, reason, remedy)


def _both(reason: str, fault: str) -> str:
    """What the engine says and what is known of the machine, but not the same twice."""
    if "not installed" in reason and "not installed" in fault:
        return fault
    return reason if fault in reason else f"{reason}; {fault}"


def _verdict(
    engine: str, model: str | None, outcome: Outcome, text: str, remedy: str | None = None, levels: int | None = None
) -> Verdict:
    return Verdict(
        engine=engine,
        model=None if model is None else private(model),
        outcome=outcome,
        text=private(text),
        remedy=None if remedy is None else "\n".join(map(private, remedy.splitlines())),
        levels=levels,
    )


def _compared(levels: int, trial: Trial, reference: Trial) -> str:
    other = reference.engine
    if trial.model is not None:
        other += f" with {'the packaged model' if reference.model is None else reference.model.name}"
    if levels == 0:
        return f"the same result as {other}"
    return f"at most {levels} grey level{'' if levels == 1 else 's'} from {other}"


def _sidecar(model: Path) -> Sidecar | None:
    try:
        return read_sidecar(model)
    except EfdnError:
        return None


def _takes(model: Path) -> str | None:
    sidecar = _sidecar(model)
    if sidecar is None or len(sidecar.shapes) != 1 or not sidecar.shapes[0].static:
        return None
    height, width = sidecar.shapes[0].opt
    return f"{width}x{height}"


def _precision(model: Path | None) -> str:
    sidecar = None if model is None else _sidecar(model)
    return "fp32" if sidecar is None else sidecar.precision
