"""What workers tell of their work."""

from __future__ import annotations

from dataclasses import dataclass

from engines.batch.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A worker has taken a chunk.

    Attributes:
        chunk: its number.
        node: ID of the node.
    """

    chunk: int
    node: str


@dataclass(frozen=True, kw_only=True)
class Begins:
    """It is a picture's turn in a worker.

    Attributes:
        index: of its task.
    """

    index: int


@dataclass(frozen=True, kw_only=True)
class GoesOn:
    """Rows of a picture are made.

    Attributes:
        index: of its task.
        share: of its rows, 0..1.
        detail: what else there is to say.
    """

    index: int
    share: float
    detail: str


@dataclass(frozen=True, kw_only=True)
class Over:
    """It is over with a picture.

    Attributes:
        index: of its task.
        outcome: with the worker's names.
    """

    index: int
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A worker is through with a chunk.

    Attributes:
        chunk: its number.
        problem: why nothing was done, if it is the worker that is at fault.
    """

    chunk: int
    problem: str | None = None


Note = Begun | Begins | GoesOn | Over | Ended
