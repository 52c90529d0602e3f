"""The whole state of a training run in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from efdn.errors import TrainingError
from efdn.files import reason_of, staged
from efdn.training.config import TrainingConfig

VERSION = 1
MARK = "efdn_training"

StateDict = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a run needs to go on as if it had not stopped.

    Attributes:
        config: its recipe.
        iteration: steps taken.
        elapsed_s: seconds trained.
        params: the network's weights, running statistics and counters.
        params_ema: the same of the average, or None.
        optimizer: Adam's state.
        scaler: state of the gradient scaler, empty without one.
        best_db: highest validation PSNR so far, or None.
        held_out: names of the pictures kept for validation.
        pictures: how many are trained on.
        validated_elsewhere: whether other pictures than the training data's validate.
    """

    config: TrainingConfig
    iteration: int
    elapsed_s: float
    params: StateDict
    params_ema: StateDict | None
    optimizer: StateDict
    scaler: StateDict
    best_db: float | None
    held_out: tuple[str, ...]
    pictures: int
    validated_elsewhere: bool


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint, whole or not at all. Also a weights file that every loader here reads.

    Raises:
        OutputError: the target cannot be written.
    """
    content = {
        MARK: VERSION,
        "config": checkpoint.config.to_json(),
        "iteration": checkpoint.iteration,
        "elapsed_s": checkpoint.elapsed_s,
        "params": dict(checkpoint.params),
        "optimizer": dict(checkpoint.optimizer),
        "scaler": dict(checkpoint.scaler),
        "best_db": checkpoint.best_db,
        "held_out": list(checkpoint.held_out),
        "pictures": checkpoint.pictures,
        "validated_elsewhere": checkpoint.validated_elsewhere,
    }
    if checkpoint.params_ema is not None:
        content["params_ema"] = dict(checkpoint.params_ema)
    with staged(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint; never runs pickled code.

    Raises:
        TrainingError: missing, broken, or not a training checkpoint.
    """
    if not path.is_file():
        raise TrainingError(f"no checkpoint at {path}: --resume takes the folder of a run, which holds {path.name}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {reason_of(error)}") from error
    except Exception as error:  # Pickle, zip and runtime errors among them.
        raise TrainingError(f"{path} is not a readable checkpoint: expected one that efdn-train wrote") from error
    if not isinstance(content, dict) or content.get(MARK) != VERSION:
        raise TrainingError(f"{path} is not a checkpoint of this version of efdn-train: start a new run with --init")
    try:
        return Checkpoint(
            config=TrainingConfig.from_json(content["config"]),
            iteration=content["iteration"],
            elapsed_s=content["elapsed_s"],
            params=content["params"],
            params_ema=content.get("params_ema"),
            optimizer=content["optimizer"],
            scaler=content["scaler"],
            best_db=content["best_db"],
            held_out=tuple(content["held_out"]),
            pictures=content["pictures"],
            validated_elsewhere=content["validated_elsewhere"],
        )
    except KeyError as error:
        raise TrainingError(f"{path} lacks {error}: it was not written by efdn-train, or is damaged") from error
