"""What is to be run: which engines on which models at which shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ArtefactError, UsageError
from efdn.files import sha256_of_file
from efdn.shapes import ShapeRange, Side
from efdn.sidecar import Sidecar, read_sidecar
from engines.options import RunOptions
from engines.registry import ENGINES, ModelKind, find_engine, model_kind
from engines.select import AUTO, PACKAGED
from engines.worker.subject import Subject

BASELINE = "pytorch-published"
DEFAULT_SHAPE: Side = (256, 256)
WITHOUT_GRAPH = "no graph"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One subject of a run.

    Attributes:
        name: for people, without its like in the run.
        subject: what a worker is to open.
        shapes: what its model takes, where its sidecar tells before it is opened.
        baseline: whether the others are compared with it.
        python: interpreter of its worker; this one if None.
    """

    name: str
    subject: Subject
    shapes: tuple[ShapeRange, ...] | None = None
    baseline: bool = False
    python: Path | None = None

    def takes(self, side: Side) -> bool:
        """Whether it takes pictures of that size, as far as is known."""
        return self.shapes is None or any(shape.takes(side) for shape in self.shapes)


def plan_subjects(
    models: Sequence[Path],
    engines: Sequence[str],
    *,
    baseline: str | None = None,
    default_baseline: bool = True,
    graphs: Sequence[bool] = (True,),
    threads: int | None = None,
) -> tuple[Planned, ...]:
    """Every engine on every model of the kind that it reads, after the baseline.

    Args:
        models: files; the packaged model without any.
        engines: names in the registry, or "auto", which is also what stands for none.
        baseline: name of the engine to compare with.
        default_baseline: whether PyTorch eager in published form is the baseline where none is named,
            PyTorch is installed, and the weights of the models are at hand.
        graphs: whether to run with CUDA graphs, without, or both; of TensorRT engines.
        threads: of CPU engines.

    Raises:
        UsageError: no such engine, or an engine without a model to read, or a model without an engine.
        EngineError: a model file is missing or of an unknown kind.
    """
    names = list(dict.fromkeys(engines)) or [AUTO]
    files = list(dict.fromkeys(models))
    pairs = _pairs(files, names)
    options = RunOptions(threads=threads)
    planned = [
        Planned(
            name=_name(name, model, len(files) > 1, graph if _records(name, model) else None),
            subject=Subject(engine=name, model=model, options=replace(options, cuda_graph=graph)),
            shapes=_shapes(model),
        )
        for name, model in pairs
        for graph in (graphs if _records(name, model) else graphs[:1])
    ]
    if baseline is None and default_baseline and find_spec("torch") is not None:
        baseline = _usual_baseline(files)
    return tuple(planned) if baseline is None else _with_baseline(planned, baseline, files, options)


def plan_shapes(planned: Sequence[Planned], asked: Sequence[Side]) -> tuple[Side, ...]:
    """The shapes to run at, small ones first: those asked for, or 256x256, or what engines with fixed shapes take."""
    if asked:
        return tuple(sorted(set(asked), key=_area))
    sides: set[Side] = set()
    for entry in planned:
        if entry.shapes is None or entry.takes(DEFAULT_SHAPE):
            sides |= set() if entry.baseline and len(planned) > 1 else {DEFAULT_SHAPE}
        else:
            sides |= {shape.opt for shape in entry.shapes}
    return tuple(sorted(sides, key=_area))


def _area(side: Side) -> tuple[int, Side]:
    return side[0] * side[1], side


def _pairs(files: list[Path], names: list[str]) -> list[tuple[str, Path | None]]:
    """Engines and what they run; every engine and every model at least once."""
    reads = {name: None if name == AUTO else find_engine(name).reads for name in names}
    if not files:
        without = [name for name, kind in reads.items() if kind is not None and kind not in PACKAGED]
        if without:
            raise UsageError(
                f"engine {without[0]} needs an engine file: build one with 'efdn-export trt' and give it as MODEL"
            )
        return [(name, None) for name in names]
    kinds = {file: model_kind(file) for file in files}
    pairs = [(name, file) for file in files for name in names if reads[name] in (None, kinds[file])]
    for file, kind in kinds.items():
        if not any(other == file for _, other in pairs):
            fitting = ", ".join(entry.name for entry in ENGINES if entry.reads is kind and entry.network)
            raise UsageError(f"none of the engines given reads {file}, which is {kind.value}: add --engine {fitting}")
    for name, reading in reads.items():
        if reading is not None and not any(other == name for other, _ in pairs):
            raise UsageError(
                f"engine {name} reads {reading.value} files, and none is among the models: add one, or leave it out"
            )
    return list(pairs)


def _records(name: str, model: Path | None) -> bool:
    """Whether CUDA graphs concern a subject."""
    return model is not None and model_kind(model) is ModelKind.ENGINE and name in (AUTO, "tensorrt")


def _name(engine: str, model: Path | None, several: bool, graph: bool | None) -> str:
    # Only one engine reads engine files; of others it shows once one is open.
    shown = "tensorrt" if _records(engine, model) else engine
    parts = [shown, *([model.name] if several and model is not None else [])]
    return " ".join(parts) + (f", {WITHOUT_GRAPH}" if graph is False else "")


def _sidecar(model: Path | None) -> Sidecar | None:
    """What stands beside a model, if it can be read; an engine that needs it says itself what is wrong with it."""
    if model is None:
        return None
    try:
        return read_sidecar(model)
    except ArtefactError:
        return None


def _shapes(model: Path | None) -> tuple[ShapeRange, ...] | None:
    sidecar = _sidecar(model)
    return None if sidecar is None else sidecar.shapes


def _usual_baseline(files: list[Path]) -> str | None:
    """The published form, where it would run the very weights that the models were made of."""
    if not files or any(model_kind(file) is ModelKind.WEIGHTS for file in files):
        return BASELINE
    packaged = sha256_of_file(DEFAULT_WEIGHTS)
    sidecars = [_sidecar(file) for file in files]
    same = all(sidecar is not None and sidecar.weights_sha256 == packaged for sidecar in sidecars)
    return BASELINE if same else None


def _with_baseline(planned: list[Planned], name: str, files: list[Path], options: RunOptions) -> tuple[Planned, ...]:
    """The subjects with the baseline before them: one of them, if it is among them."""
    entry = find_engine(name)
    for index, own in enumerate(planned):
        if own.subject.engine == name:
            return (replace(own, baseline=True), *planned[:index], *planned[index + 1 :])
    model = next((file for file in files if model_kind(file) is entry.reads), None)
    if model is None and entry.reads not in PACKAGED:
        raise UsageError(f"baseline {name} needs an engine file: give one as MODEL, or another --baseline")
    subject = Subject(engine=name, model=model, options=options)
    return (Planned(name=name, subject=subject, shapes=_shapes(model), baseline=True), *planned)
