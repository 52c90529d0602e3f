"""A training run as asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from efdn.training.config import TrainingConfig

CHECKPOINT_NAME = "last.pt"
WEIGHTS_NAME = "weights.safetensors"
BEST_NAME = "best.safetensors"
CONFIG_NAME = "config.json"
SKIPPED_NAME = "skipped.txt"
CURVE_NAME = "curve.svg"

DEFAULT_CACHE_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A run.

    Attributes:
        config: the recipe.
        data: folders, tar shards, lists and pictures to train on.
        output: folder of the run.
        validation: the same for validation; empty to hold some of `data` out.
        init: weights to start from, or None for fresh ones.
        resume: whether to go on from the checkpoint in `output`.
        device: as in `efdn.training.distributed.team`.
        workers: threads that make patches.
        cache_bytes: of decoded pictures, in all processes together.
        cache_folder: where decoded pictures are kept for collections larger than that, and for later runs; or None.
        tensorboard: whether to log for TensorBoard too.
    """

    config: TrainingConfig
    data: tuple[Path, ...]
    output: Path
    validation: tuple[Path, ...] = ()
    init: Path | None = None
    resume: bool = False
    device: str | None = None
    workers: int = 2
    cache_bytes: int = DEFAULT_CACHE_BYTES
    cache_folder: Path | None = None
    tensorboard: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How a run stands.

    Attributes:
        iteration: steps taken.
        share: of the run, 0..1.
        loss: mean since the last report.
        psnr_db: of the training patches since then.
        val_psnr_db: last validation, or None.
        learning_rate: of the last step.
        images_per_s: patches trained on a second, all processes together.
        waiting_share: part of the time spent waiting for patches, 0..1.
        left_s: seconds to go, at the present speed.
    """

    iteration: int
    share: float
    loss: float
    psnr_db: float
    val_psnr_db: float | None
    learning_rate: float
    images_per_s: float
    waiting_share: float
    left_s: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        iteration: steps taken, earlier parts included.
        elapsed_s: seconds trained, earlier parts included.
        finished: False where it was interrupted and can be resumed.
        first_val_db: validation PSNR before the first step of this part, or None.
        last_val_db: the same at the end.
        best_val_db: the best seen.
        images_per_s: mean over this part, all processes together.
        waiting_share: part of this part's time spent waiting for patches.
        skipped: pictures left out, and why.
        output: folder of the run.
    """

    iteration: int
    elapsed_s: float
    finished: bool
    first_val_db: float | None
    last_val_db: float | None
    best_val_db: float | None
    images_per_s: float
    waiting_share: float
    skipped: dict[str, str]
    output: Path


OnProgress = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Shows nothing."""
