"""Where a run stands: share done, learning rate, phase."""

from __future__ import annotations

import math

from efdn.training.config import Phase, TrainingConfig

LONGEST_WARMUP = 0.1
"""Share of a short run that the ramp may take."""


def share_done(config: TrainingConfig, iteration: int, elapsed_s: float) -> float:
    """How far a run has come, 0..1, by whichever of its limits is nearer.

    Args:
        config: the recipe.
        iteration: steps taken.
        elapsed_s: seconds trained, earlier parts of a resumed run included.
    """
    shares = [0.0]
    if config.max_iters is not None:
        shares.append(iteration / config.max_iters)
    if config.max_time_s is not None:
        shares.append(elapsed_s / config.max_time_s)
    return min(1.0, max(shares))


def learning_rate(config: TrainingConfig, iteration: int, share: float) -> float:
    """Rate of the step that `iteration` steps have gone before: a ramp, then a cosine over the run."""
    warmup = config.warmup_iters
    if config.max_iters is not None:
        warmup = min(warmup, int(config.max_iters * LONGEST_WARMUP))
    ramp = min(1.0, (iteration + 1) / warmup) if warmup else 1.0
    low, high = config.final_learning_rate, config.learning_rate
    return ramp * (low + (high - low) * 0.5 * (1 + math.cos(math.pi * share)))


def phase_at(config: TrainingConfig, share: float) -> Phase:
    """The phase that a step at this share of the run belongs to."""
    return next((phase for phase in config.phases if share < phase.until), config.phases[-1])
