"""What a run reports: means between reports, speed and the time left."""

from __future__ import annotations

import math
import time

from efdn.training.config import TrainingConfig
from efdn.training.job import Progress
from efdn.training.schedule import share_done


class Pace:
    """Adds up steps.

    Args:
        config: the recipe.
        iteration: steps taken by earlier parts of the run.
        elapsed_s: seconds they took.
    """

    def __init__(self, config: TrainingConfig, iteration: int, elapsed_s: float) -> None:
        self._config = config
        self._first, self._base_s = iteration, elapsed_s
        self._share_before = share_done(config, iteration, elapsed_s)
        self._started = time.monotonic()
        self._reset(0.0)

    @property
    def elapsed_s(self) -> float:
        """Seconds trained, earlier parts included."""
        return self._base_s + self._here_s

    @property
    def _here_s(self) -> float:
        return time.monotonic() - self._started

    def add(self, loss: float, squared_error: float) -> None:
        """Takes in a step."""
        self._count += 1
        self._loss += loss
        self._error += squared_error

    def report(self, iteration: int, rate: float, waited_s: float, val_psnr_db: float | None) -> Progress:
        """Means since the last report, which start anew."""
        passed = max(time.monotonic() - self._since, 1e-9)
        share = share_done(self._config, iteration, self.elapsed_s)
        done = share - self._share_before
        error = self._error / max(self._count, 1)
        progress = Progress(
            iteration=iteration,
            share=share,
            loss=self._loss / max(self._count, 1),
            psnr_db=10 * math.log10(255**2 / error) if error > 0 else math.inf,
            val_psnr_db=val_psnr_db,
            learning_rate=rate,
            images_per_s=self._count * self._config.batch / passed,
            waiting_share=min(1.0, (waited_s - self._waited_s) / passed),
            left_s=self._here_s * (1 - share) / done if done > 0 else math.inf,
        )
        self._reset(waited_s)
        return progress

    def images_per_s(self, iteration: int) -> float:
        """Mean of this part of the run."""
        return (iteration - self._first) * self._config.batch / max(self._here_s, 1e-9)

    def waiting_share(self, waited_s: float) -> float:
        """Part of this part's time spent waiting."""
        return min(1.0, waited_s / max(self._here_s, 1e-9))

    def _reset(self, waited_s: float) -> None:
        self._since = time.monotonic()
        self._waited_s = waited_s
        self._count, self._loss, self._error = 0, 0.0, 0.0
