"""Ending a run at a moment of its own choosing when it is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether somebody asked for the end.

    A KeyboardInterrupt that may arise anywhere can leave a lock held. Here it arises in `check`, and within
    `at_once`, where the engine works and nothing of the run is half done.
    """

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Handler of a signal. Asking again changes nothing: the end is on its way."""
        first, self.asked = not self.asked, True
        if first and self._at_once:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt if the end was asked for."""
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Lets the signal interrupt the body wherever it is."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turns Ctrl-C and SIGTERM into a wish while the body runs.

    Handlers that somebody else has set are left alone, and so are threads other than the main one: they get no signals.
    """
    wish = Interruption()
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = (
        [number for number, handler in usual.items() if signal.getsignal(number) == handler]
        if threading.current_thread() is threading.main_thread()
        else []
    )
    before = {number: signal.signal(number, wish.ask) for number in ours}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def patiently(act: Callable[[], None], wish: Interruption) -> None:
    """Does something to its end, whatever interrupts it meanwhile; `act` must bear being called again."""
    while True:
        try:
            act()
        except KeyboardInterrupt:
            wish.asked = True
        else:
            return
