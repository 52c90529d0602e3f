"""Tries engines, each in a process of its own: what crashes there has answered too."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from efdn.errors import EfdnError, WorkerError
from efdn.shapes import Side
from engines.whole import Pixels
from engines.worker.client import Worker
from engines.worker.subject import Job, Subject

USUAL_SIDE = (16, 16)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One engine's answer on one small picture.

    Attributes:
        engine: name in the registry.
        model: file; the packaged model if None.
        shape: height and width of the picture.
        detail: versions and device, as the engine has them.
        result: (H, W, 3) uint8; None if it failed.
        failure: why, as the engine says it.
        crashed: whether its process died.
    """

    engine: str
    model: Path | None
    shape: Side = USUAL_SIDE
    detail: str = ""
    result: Pixels | None = None
    failure: str | None = None
    crashed: bool = False


Attempt = Callable[[str, "Path | None", "Side | None"], Trial]


def attempt(engine: str, model: Path | None, shape: Side | None = None) -> Trial:
    """Opens an engine and upscales one picture with it.

    Args:
        engine: name in the registry.
        model: file; the packaged model if None.
        shape: of the picture; 16x16, or what comes nearest of what the model takes, if None.
    """
    try:
        with Worker() as worker, tempfile.TemporaryDirectory() as folder:
            opened = worker.open(Subject(engine=engine, model=model))
            side = shape or side_for(opened.shapes[0])
            worker.prepare(Job(shape=side))
            path = Path(folder) / "result.npy"
            worker.write_output(path)
            result: Pixels = np.load(path)[0]
            return Trial(engine=engine, model=model, shape=side, detail=opened.detail, result=result)
    except EfdnError as error:
        return Trial(
            engine=engine, model=model, failure=str(error) or "no reason given", crashed=isinstance(error, WorkerError)
        )


def side_for(takes: str) -> Side:
    """The picture to try on an engine that says it takes "256x256", "64x64 to 512x512" or "any shape from 13x13"."""
    found = [(int(height), int(width)) for height, width in re.findall(r"(\d+)x(\d+)", takes)]
    if not found:
        return USUAL_SIDE
    height, width = (max(usual, least) for usual, least in zip(USUAL_SIDE, found[0], strict=True))
    return (height, width) if len(found) > 1 or takes.startswith("any") else found[0]


def difference(trial: Trial, reference: Trial) -> int | None:
    """Largest difference in grey levels; None where the two cannot be compared."""
    left, right = trial.result, reference.result
    if left is None or right is None or left.shape != right.shape:
        return None
    return int(np.abs(left.astype(np.int16) - right.astype(np.int16)).max())
