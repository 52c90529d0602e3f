"""From the options of `efdn-train` to a training job."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from efdn.errors import UsageError
from efdn.extras import import_extra

if TYPE_CHECKING:
    from efdn.training.config import Phase, TrainingConfig
    from efdn.training.job import TrainingJob

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NO_CHANGE_ON_RESUME = (
    "scale", "seed", "patch", "batch", "learning_rate", "loss", "norms", "ema", "clip", "warmup", "amp", "compiled",
    "channels_last", "validation_every",
)  # fmt: skip
FLAGS = {"compiled": "compile", "validation_every": "val-every"}
"""Options whose names differ."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options as given; None where not. See `efdn-train --help`."""

    data: tuple[Path, ...]
    output: Path | None
    preset: str | None
    resume: Path | None
    init: Path | None
    validation: tuple[Path, ...]
    scale: int | None
    max_time: str | None
    max_iters: int | None
    batch: int | None
    patch: int | None
    learning_rate: float | None
    warmup: int | None
    loss: str | None
    norms: str | None
    ema: float | None
    clip: float | None
    seed: int | None
    amp: str | None
    compiled: bool | None
    channels_last: bool | None
    validation_every: int | None
    device: str | None
    workers: int
    cache_gb: float
    cache_dir: Path | None
    tensorboard: bool


def training_job(options: TrainOptions) -> TrainingJob:
    """The run that the options ask for.

    Raises:
        UsageError: options that do not go together, or cannot be understood.
        TrainingError: `--resume` without a checkpoint.
        ConfigError: a value out of range.
    """
    from efdn.training.job import TrainingJob

    if not options.data:
        raise UsageError("nothing to train on: name folders, .tar shards, lists (.txt) or pictures")
    if not options.cache_gb > 0:
        raise UsageError(f"--cache-gb must be above 0, got {options.cache_gb:g}")
    if options.workers < 0:
        raise UsageError(f"--workers must be at least 0, got {options.workers}")
    for package in ("torch", "safetensors"):
        import_extra(package, "train", "Training")
    resumed = options.resume is not None
    config = _resumed_config(options) if resumed else _new_config(options)
    return TrainingJob(
        config=config,
        data=options.data,
        output=options.resume or options.output or Path("runs") / f"{config.preset}-x{config.scale}",
        validation=options.validation,
        init=_init(options, config),
        resume=resumed,
        device=options.device,
        workers=options.workers,
        cache_bytes=int(options.cache_gb * (1 << 30)),
        cache_folder=options.cache_dir,
        tensorboard=options.tensorboard,
    )


def parse_duration(text: str) -> float:
    """ "90s", "45m", "2h", "1.5h" or "600" as seconds.

    Raises:
        UsageError: none of these.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"--max-time takes a duration such as 90s, 45m or 2h, got {text!r}")
    return float(match[1]) * UNITS_S[match[2] or "s"]


def _new_config(options: TrainOptions) -> TrainingConfig:
    from efdn.training.presets import preset

    config = preset(options.preset or "published", gpu=_takes_gpu(options))
    zeroable = {"ema": options.ema, "clip_norm": options.clip}
    given = {
        "batch": options.batch,
        "learning_rate": options.learning_rate,
        "warmup_iters": options.warmup,
        "seed": options.seed,
        "amp": options.amp,
        "compile": options.compiled,
        "channels_last": options.channels_last,
        "val_every": options.validation_every,
    }
    # One call: what goes with what is checked on the whole.
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    changes |= {name: value or None for name, value in zeroable.items() if value is not None}
    scale = _scale(options)
    changes |= {"scale": scale, "phases": _phases(options, config, scale)}
    changes |= _limits(options)
    slow = options.compiled or options.channels_last or (options.amp or "none") != "none"
    changes["fast_form"] = config.fast_form and not slow
    return replace(config, **changes)  # type: ignore[arg-type]


def _scale(options: TrainOptions) -> int:
    """As asked for, else that of the weights to start from, else 4."""
    if options.scale is not None:
        return options.scale
    if options.init is None:
        return 4
    from efdn.network import EFDN
    from efdn.weights import load_network

    return load_network(options.init, EFDN).config.upscale


def _phases(options: TrainOptions, config: TrainingConfig, scale: int) -> tuple[Phase, ...]:
    """Those of the recipe with what was asked for; its patches are cut to multiples of the scale."""
    given = {"patch": options.patch, "loss": options.loss, "norms": options.norms}
    changes = {name: value for name, value in given.items() if value is not None}
    fitted = [replace(phase, patch=phase.patch - phase.patch % max(scale, 1)) for phase in config.phases]
    return tuple(replace(phase, **changes) for phase in fitted)  # type: ignore[arg-type]


def _resumed_config(options: TrainOptions) -> TrainingConfig:
    from efdn.training.checkpoint import load_checkpoint
    from efdn.training.job import CHECKPOINT_NAME

    assert options.resume is not None
    fixed = [name for name in (*NO_CHANGE_ON_RESUME, "preset", "init", "output") if getattr(options, name) is not None]
    if fixed:
        flags = ", ".join("--" + FLAGS.get(name, name).replace("_", "-") for name in fixed)
        raise UsageError(f"a resumed run keeps its recipe: leave {flags} out, or start a new run with --init")
    config = load_checkpoint(options.resume / CHECKPOINT_NAME).config
    return replace(config, **_limits(options))  # type: ignore[arg-type]


def _takes_gpu(options: TrainOptions) -> bool:
    import torch

    return torch.cuda.is_available() if options.device is None else options.device.startswith("cuda")


def _limits(options: TrainOptions) -> dict[str, object]:
    """Where the run ends: as asked for, else as the recipe says."""
    if options.max_time is None and options.max_iters is None:
        return {}
    seconds = None if options.max_time is None else parse_duration(options.max_time)
    return {"max_time_s": seconds, "max_iters": options.max_iters}


def _init(options: TrainOptions, config: TrainingConfig) -> Path | None:
    """Weights to start from: those given, or the default ones where the recipe is for trained networks."""
    from efdn.assets import DEFAULT_WEIGHTS
    from efdn.training.presets import FROM_WEIGHTS

    if options.init is not None or options.resume is not None:
        return options.init
    return DEFAULT_WEIGHTS if config.preset in FROM_WEIGHTS else None
