"""Fair timing of several calls in one process: interleaved rounds, every raw time kept.

A machine's speed drifts; calls that take turns drift together, so their ratios
within one run hold where absolute times do not. Each round starts with another
call, for what ran before a call leaves it caches, clock rates and spinning threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

PAUSE_S = 0.05
"""Before each call: threads of the one before it that still spin go to sleep meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Times of one call.

    Attributes:
        name: of the call.
        seconds: one per round, in order.
    """

    name: str
    seconds: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """Median in milliseconds."""
        return median(self.seconds) * 1e3

    def speed_up_over(self, baseline: Timings) -> float:
        """Median over rounds of how many times faster this call was than `baseline` in the same round."""
        return median(self.speed_ups_over(baseline))

    def speed_ups_over(self, baseline: Timings) -> tuple[float, ...]:
        """How many times faster this call was than `baseline`, round by round."""
        return tuple(slow / fast for slow, fast in zip(baseline.seconds, self.seconds, strict=True))


def time_interleaved(calls: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1) -> dict[str, Timings]:
    """Runs all calls in turn, round after round, each round from the next call on.

    Args:
        calls: by name; each must return only once its work is done.
        rounds: counted rounds.
        warm_up: rounds before them that are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(warm_up + rounds):
        first = number % max(len(names), 1)
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE_S)
            started = time.perf_counter()
            calls[name]()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timings(name=name, seconds=tuple(values)) for name, values in seconds.items()}
