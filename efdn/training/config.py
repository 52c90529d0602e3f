"""What a training run is to do: its recipe, its limits and where it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from efdn.errors import ConfigError

LOSSES = ("l1", "charbonnier", "l2")
NORM_MODES = ("batch", "frozen")
AMP_MODES = ("none", "bf16", "fp16")
SCALES = (2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a run.

    Attributes:
        until: share of the run, 0..1, at which it ends; the last ends at 1.
        loss: "l1", "charbonnier" or "l2".
        patch: side of a training patch, HR pixels.
        norms: "batch" measures every batch, as BatchNorm does; "frozen" uses the running statistics, so that what is
            trained is what is run later, and whole pictures need not have the statistics of patches.
    """

    until: float
    loss: str
    patch: int
    norms: str = "batch"

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise ConfigError(f"a phase must end within 0..1 of the run, got {self.until}")
        _one_of("loss", self.loss, LOSSES)
        _one_of("norms", self.norms, NORM_MODES)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A recipe.

    Attributes:
        preset: name of the recipe it began as.
        scale: magnification.
        phases: in order.
        batch: patches a step, over all processes.
        learning_rate: highest; reached after `warmup_iters`, then a cosine down to `final_learning_rate`.
        final_learning_rate: at the end.
        warmup_iters: steps over which the rate rises in a straight line.
        betas: of Adam.
        unit_range: whether Adam's steps are those of a network on 0..1. Adam's steps have the size of the learning
            rate whatever the scale of a gradient, so that on the published 0..255 range the first convolution learns
            255 times too fast, and the last 255 times too slowly.
        clip_norm: longest gradient, for a loss in grey levels; None for no limit.
        ema: decay of the averaged weights a step; None for none.
        max_iters: steps after which the run ends; None where `max_time_s` alone ends it.
        max_time_s: seconds after which the run ends, resumed runs together; None for no limit.
        seed: of the first weights and of the patches.
        augment: whether patches are flipped and rotated.
        amp: "none", "bf16" or "fp16" arithmetic in convolutions.
        channels_last: memory format of the network; not with the fast form.
        compile: whether torch.compile is used; not with the fast form.
        fast_form: whether the forward pass is `efdn.training.fast_form`; else the published one.
        holdout: training pictures kept for validation where no others are given.
        val_every: steps between validations.
        log_every: steps between rows of the log.
        save_every_s: seconds between checkpoints.
    """

    preset: str
    scale: int = 4
    phases: tuple[Phase, ...]
    batch: int
    learning_rate: float
    final_learning_rate: float = 0.0
    warmup_iters: int = 0
    betas: tuple[float, float] = (0.9, 0.99)
    unit_range: bool = True
    clip_norm: float | None = None
    ema: float | None = 0.999
    max_iters: int | None = None
    max_time_s: float | None = None
    seed: int = 0
    augment: bool = True
    amp: str = "none"
    channels_last: bool = False
    compile: bool = False
    fast_form: bool = True
    holdout: int = 16
    val_every: int = 1000
    log_every: int = 100
    save_every_s: float = 300.0

    def __post_init__(self) -> None:
        _one_of("scale", self.scale, SCALES)
        _one_of("amp", self.amp, AMP_MODES)
        for name in ("batch", "val_every", "log_every"):
            _at_least(name, getattr(self, name), 1)
        for name in ("holdout", "warmup_iters", "seed", "final_learning_rate"):
            _at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "save_every_s", "max_iters", "max_time_s", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be a positive number, got {value}")
        if self.max_iters is None and self.max_time_s is None:
            raise ConfigError("a run needs an end: give max_iters, max_time_s or both")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ConfigError(f"ema must be between 0 and 1, got {self.ema}")
        self._check_phases()
        if self.fast_form and (self.compile or self.channels_last or self.amp != "none"):
            raise ConfigError(
                "the fast form computes in float32 as it is: use the published form with amp, compile or channels_last"
            )

    def _check_phases(self) -> None:
        ends = [phase.until for phase in self.phases]
        if not ends or ends[-1] != 1 or ends != sorted(set(ends)):
            raise ConfigError(f"phases must end one after the other, the last at 1, got {ends}")
        least = 13 * self.scale
        for phase in self.phases:
            if phase.patch % self.scale or phase.patch < least:
                raise ConfigError(
                    f"patch must be a multiple of the scale ({self.scale}) and at least {least}, got {phase.patch}"
                )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of `to_json`.

        Raises:
            ConfigError: a name that is not known, or one that is missing.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise ConfigError(f"a training configuration of another version: {', '.join(unknown)} is not known")
        try:
            phases = tuple(Phase(**phase) for phase in values["phases"])
            return cls(**{**values, "phases": phases, "betas": tuple(values["betas"])})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"a training configuration of another version: {error}") from error

    def with_patch(self, patch: int) -> TrainingConfig:
        """The same recipe with one size of patch throughout."""
        return replace(self, phases=tuple(replace(phase, patch=patch) for phase in self.phases))


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ConfigError(f"{name} must be at least {least}, got {value}")
