"""The driver's line to the journal and the workers, where each call may find that the cluster is gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from efdn.errors import EfdnError, EngineError
from engines.cluster.journal import open_journal
from engines.cluster.notes import Note

ANSWER_S = 30.0
"""For the journal, which does nothing but answer, to do so."""

Answer = TypeVar("Answer")


class LostError(EngineError):
    """The cluster, or all that worked in it, is gone."""


def safely(call: Callable[[], Answer]) -> Answer:
    """What a call of Ray gives.

    Raises:
        LostError: Ray raised something.
    """
    try:
        return call()
    except EfdnError:
        raise
    except Exception as error:
        raise LostError(f"lost the cluster ({type(error).__name__}): see whether its head is alive") from error


class Line:
    """Speaks with the journal. All but `close` raise LostError where nobody answers.

    Args:
        ray: the module, connected.

    Attributes:
        journal: the actor; None before the first round.
    """

    def __init__(self, ray: Any) -> None:
        self.journal: Any = None
        self._ray = ray
        self._lost: LostError | None = None

    def begin_round(self, number: int) -> None:
        """Opens the journal where there is none."""
        if self.journal is None:
            self.journal = self._safely(lambda: open_journal(self._ray))
        self._ask("begin_round", number)

    def take(self) -> list[Note]:
        """See `Journal`."""
        return cast("list[Note]", self._ask("take"))

    def stop(self) -> None:
        """See `Journal`."""
        self._ask("stop")

    def dismiss(self) -> None:
        """Ends the round's workers, whatever they do: the next ones need their cores."""
        for worker in self._ask("dismiss"):
            self._safely(partial(self._ray.kill, worker))

    def end(self) -> None:
        """Ends the journal, and so whatever asks it still; the next round gets another."""
        self._safely(lambda: self._ray.kill(self.journal))
        self.journal = None

    def close(self) -> None:
        """Ends the journal if it is there and the cluster is."""
        if self.journal is not None and self._lost is None:
            with suppress(Exception):
                self._ray.kill(self.journal)

    def _ask(self, name: str, *given: object) -> Any:
        return self._safely(lambda: self._ray.get(getattr(self.journal, name).remote(*given), timeout=ANSWER_S))

    def _safely(self, call: Callable[[], Answer]) -> Answer:
        """See `safely`. What is lost stays lost: each call more might wait in vain."""
        if self._lost is not None:
            raise self._lost
        try:
            return safely(call)
        except LostError as lost:
            self._lost = lost
            raise
