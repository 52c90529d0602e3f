"""What workers tell of their work."""

from __future__ import annotations

from dataclasses import dataclass

from engines.batch.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class ChunkBegun:
    """A worker has taken a chunk.

    Attributes:
        chunk: its number.
        worker: ID of the actor, which it keeps when Ray starts it anew.
        node: ID of the node.
    """

    chunk: int
    worker: str
    node: str


@dataclass(frozen=True, kw_only=True)
class ChunkEnded:
    """A worker is through with a chunk.

    Attributes:
        chunk: its number.
    """

    chunk: int


@dataclass(frozen=True, kw_only=True)
class NodeRefused:
    """A worker has no engine, and did nothing of a chunk that it had begun.

    Attributes:
        chunk: its number.
        node: ID of the node.
        problem: why.
    """

    chunk: int
    node: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """A worker is at work, though it has nothing to tell."""


@dataclass(frozen=True, kw_only=True)
class PictureBegun:
    """It is a picture's turn in a worker.

    Attributes:
        index: of its task.
    """

    index: int


@dataclass(frozen=True, kw_only=True)
class PictureProgress:
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
class PictureOver:
    """It is over with a picture.

    Attributes:
        index: of its task.
        outcome: with the worker's names.
    """

    index: int
    outcome: Outcome


Note = ChunkBegun | ChunkEnded | NodeRefused | Heartbeat | PictureBegun | PictureProgress | PictureOver
