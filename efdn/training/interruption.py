"""Ending a run cleanly when it is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handler of a signal; a second one interrupts at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turns the first SIGINT or SIGTERM into a wish, so that a step can end and a checkpoint be written."""
    wish = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, wish.ask) for number in signals]
    try:
        yield wish
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
