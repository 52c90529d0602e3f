"""Recipes by name."""

from __future__ import annotations

from dataclasses import replace

from efdn.errors import UsageError
from efdn.training.config import Phase, TrainingConfig

PUBLISHED = TrainingConfig(
    preset="published",
    # The factsheet gives no number of steps; this one is ours.
    max_iters=500_000,
    phases=(Phase(until=1, loss="l2", patch=256),),
    batch=128,
    learning_rate=5e-4,
    betas=(0.9, 0.9999),
    unit_range=False,
    ema=None,
)
"""As published: NTIRE 2023 factsheet of EFDN, section on training."""

STRONG = TrainingConfig(
    preset="strong",
    max_iters=300_000,
    phases=(
        Phase(until=0.5, loss="charbonnier", patch=192),
        Phase(until=0.9, loss="charbonnier", patch=256, norms="frozen"),
        Phase(until=1, loss="l2", patch=256, norms="frozen"),
    ),
    batch=32,
    learning_rate=1e-3,
    warmup_iters=500,
    clip_norm=200,
    ema=0.999,
)
"""From scratch: robust loss first, squared error last; norms frozen and patches larger once the network has shape."""

CONTINUED = TrainingConfig(
    preset="continue",
    max_iters=20_000,
    phases=(
        Phase(until=0.85, loss="charbonnier", patch=192, norms="frozen"),
        Phase(until=1, loss="l2", patch=192, norms="frozen"),
    ),
    batch=8,
    learning_rate=5e-4,
    warmup_iters=150,
    clip_norm=200,
    ema=0.999,
    val_every=500,
)
"""From weights that are not done yet, on a small machine."""

FINE_TUNING = TrainingConfig(
    preset="finetune",
    max_iters=2_000,
    phases=(Phase(until=1, loss="l2", patch=192, norms="frozen"),),
    batch=8,
    learning_rate=1e-4,
    warmup_iters=100,
    clip_norm=200,
    ema=0.998,
    val_every=250,
)
"""On one's own photos, from the default weights."""

PRESETS = {config.preset: config for config in (PUBLISHED, STRONG, CONTINUED, FINE_TUNING)}

FROM_WEIGHTS = frozenset({CONTINUED.preset, FINE_TUNING.preset})
"""Recipes that start from trained weights: the default ones, where none are given."""


def preset(name: str, *, gpu: bool = False) -> TrainingConfig:
    """The recipe of that name.

    Args:
        name: see `PRESETS`.
        gpu: whether it is for a GPU, where `strong` computes in bfloat16, channels last.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"--preset takes {', '.join(PRESETS)}, got {name!r}")
    config = PRESETS[name]
    if gpu and config is STRONG:
        return replace(config, amp="bf16", channels_last=True, fast_form=False)
    return config
