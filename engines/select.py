"""Opens the engine that was asked for, or the best one that runs here.

The order: a TensorRT engine file given as the model runs on TensorRT; an ONNX
model (the packaged one where none is given) on ONNX Runtime with CUDA, else on
OpenVINO, else on ONNX Runtime on the CPU; weights on PyTorch, as do the packaged
weights where none of these is installed. An engine asked for by name runs or is
an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EngineError, MissingExtraError, ModelFileError
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Engine
from engines.registry import ENGINES, EngineEntry, ModelKind, find_engine, model_kind

AUTO = "auto"

PACKAGED = {ModelKind.ONNX: DEFAULT_ONNX, ModelKind.WEIGHTS: DEFAULT_WEIGHTS}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An open engine, and why engines before it in the order were passed over.

    Attributes:
        engine: the one to use.
        passed_over: engines that would have come first, each with its reason.
    """

    engine: Engine
    passed_over: tuple[str, ...] = ()


def choose_engine(model: Path | None = None, name: str = AUTO, options: RunOptions = DEFAULT_OPTIONS) -> Choice:
    """Opens an engine.

    Args:
        model: weights, ONNX file or TensorRT engine; the packaged x4 model without.
        name: of an engine, or "auto".
        options: how it is to run.

    Raises:
        UsageError: no engine of that name.
        ModelFileError: the model file is at fault.
        EngineError: the engine asked for, or none at all, can run here; the message gives reason and remedy.
    """
    if name != AUTO:
        return Choice(engine=_open_named(find_engine(name), model, options))
    kind = None if model is None else model_kind(model)
    usual = [entry for entry in ENGINES if not entry.on_request]
    candidates = [entry for entry in usual if (entry.reads in PACKAGED if kind is None else entry.reads is kind)]
    reasons: list[str] = []
    for entry in candidates:
        try:
            engine = entry.open(model if model is not None else PACKAGED[entry.reads], options)
        except ModelFileError:
            raise
        except (EngineError, MissingExtraError) as error:
            if len(candidates) == 1:
                raise
            reasons.append(f"{entry.name} ({_reason(error)})")
        else:
            return Choice(engine=engine, passed_over=tuple(reasons))
    raise EngineError(
        f'no engine can run here: {"; ".join(reasons)}; pip install ".[cpu]" in efdn\'s source folder is enough'
    )


def _reason(error: Exception) -> str:
    """What was wrong, without the remedy that follows the colon."""
    return str(error).split(": ")[0]


def _open_named(entry: EngineEntry, model: Path | None, options: RunOptions) -> Engine:
    if model is None:
        if entry.reads not in PACKAGED:
            raise EngineError(
                f"engine {entry.name} needs a {entry.reads.value} file: "
                "build one with 'efdn-export trt' and give it with --model"
            )
        return entry.open(PACKAGED[entry.reads], options)
    kind = model_kind(model)
    if kind is not entry.reads:
        fitting = ", ".join(other.name for other in ENGINES if other.reads is kind and not other.on_request)
        remedy = " or make an ONNX file with 'efdn-export onnx --weights'" if kind is ModelKind.WEIGHTS else ""
        raise EngineError(
            f"engine {entry.name} reads {entry.reads.value} files, {model.name} is {kind.value}: "
            f"use --engine {fitting}{remedy}"
        )
    return entry.open(model, options)
