"""Times of a network's modules on the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engines.protocol import LayerTime

if TYPE_CHECKING:
    from torch import nn


class ModuleClock:
    """Adds up the time that a network's innermost modules take.

    Args:
        network: gets hooks, for good.
    """

    def __init__(self, network: nn.Module) -> None:
        self._seconds: dict[str, float] = {}
        self._kinds: dict[str, str] = {}
        self._started = 0.0
        for name, module in network.named_modules():
            if next(module.children(), None) is None:
                self._kinds[name] = type(module).__name__
                module.register_forward_pre_hook(self._start)
                module.register_forward_hook(self._stop_of(name))

    def times(self, runs: int) -> tuple[LayerTime, ...]:
        """Means over so many runs, in the order in which modules were first called."""
        return tuple(
            LayerTime(name=name, kind=self._kinds[name], ms=seconds * 1e3 / runs)
            for name, seconds in self._seconds.items()
        )

    def _start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def _stop_of(self, name: str) -> Callable[..., None]:
        def stop(*_: Any) -> None:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - self._started

        return stop
