"""What a node's engine is, found out on the node."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from efdn.errors import EngineError
from efdn.files import sha256_of_file
from efdn.shapes import ShapeRange
from efdn.version import __version__
from engines.options import RunOptions
from engines.protocol import ModelInfo, StagedEngine, TensorSpec
from engines.registry import ENGINES, ModelKind
from engines.select import PACKAGED, Choice

if TYPE_CHECKING:
    from engines.cluster.options import ClusterOptions


@dataclass(frozen=True, kw_only=True)
class Facts:
    """An engine as it was opened somewhere.

    Attributes:
        version: of this toolkit.
        name: of the engine.
        detail: its versions and device.
        on_device: whether it runs on a device, such as a GPU, rather than on the cores.
        passed_over: engines that would have come first, each with its reason.
        model: what it runs.
        digest: SHA-256 of the model's file; None where there is none.
        inputs: see `Engine`.
        outputs: see `Engine`.
        shapes: see `Engine`.
    """

    version: str
    name: str
    detail: str
    on_device: bool
    passed_over: tuple[str, ...]
    model: ModelInfo
    digest: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    shapes: tuple[ShapeRange, ...]


def open_as_asked(options: ClusterOptions, threads: int) -> Choice:
    """Opens the engine here.

    Raises:
        EfdnError: see `choose_engine`.
    """
    module, function = options.opener.split(":")
    choice = getattr(import_module(module), function)(options.model, options.engine, RunOptions(threads=threads))
    if not isinstance(choice, Choice):
        raise EngineError(f"{options.opener} must return a Choice, got {type(choice).__name__}")
    return choice


def facts_of(choice: Choice, model: Path | None) -> Facts:
    """What an open engine is."""
    engine = choice.engine
    return Facts(
        version=__version__,
        name=engine.name,
        detail=engine.detail,
        on_device=isinstance(engine, StagedEngine),
        passed_over=choice.passed_over,
        model=engine.model,
        digest=_digest(model, engine.name),
        inputs=engine.inputs,
        outputs=engine.outputs,
        shapes=engine.shapes,
    )


def difference(expected: Facts, got: Facts) -> str | None:
    """What makes results differ beyond the last bit, such as "efdn 0.2 rather than 0.3"; None if nothing does."""
    if got.version != expected.version:
        return f"efdn {got.version} rather than {expected.version}"
    if got.model != expected.model:
        return _other_model(expected.model, got.model)
    # Engines that read different kinds of file have different files of one packaged model.
    if _reads(got.name) is _reads(expected.name) and got.digest != expected.digest:
        return "another model file under the same name"
    return None


def _other_model(expected: ModelInfo, got: ModelInfo) -> str:
    """Such as "the model y rather than x", or "the model x with a scale of 2 rather than 4"."""
    if got.name != expected.name:
        return f"the model {got.name} rather than {expected.name}"
    differ = (field.name for field in fields(got) if getattr(got, field.name) != getattr(expected, field.name))
    words = (
        f"a {name.replace('_', ' ')} of {getattr(got, name)} rather than {getattr(expected, name)}" for name in differ
    )
    return f"the model {got.name} with {', '.join(words)}"


def _reads(name: str) -> ModelKind | None:
    """The kind of file that an engine reads; None of engines that are in no list."""
    return next((entry.reads for entry in ENGINES if entry.name == name), None)


def _digest(model: Path | None, name: str) -> str | None:
    reads = _reads(name)
    path = model if model is not None else None if reads is None else PACKAGED.get(reads)
    return None if path is None else sha256_of_file(path)
