"""What a run does with each picture, how much of it at once, and what it tells meanwhile."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from efdn.errors import ConfigError
from efdn.pictures.picture import Pixels
from engines.batch.outcome import Outcome
from engines.batch.task import Task

Loaded = TypeVar("Loaded")


@dataclass(kw_only=True)
class Result:
    """A picture in the making. What a writer needs besides is for a subclass to add.

    Attributes:
        width: of the whole result, in pixels.
        height: likewise.
        rows: the result from top to bottom, (n, width, channels) each; asking for the next ones runs the network.
        warnings: what was left out; any stage may add to it.
        extra: what else is to stand in the JSON; any stage may add to it.
    """

    width: int
    height: int
    rows: Iterator[Pixels] = field(repr=False)
    warnings: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """Rows that there are to be in all; not the height where there are several frames."""
        return self.height


Made = TypeVar("Made", bound=Result)


class Work(Protocol[Loaded, Made]):
    """The three stages of a picture's work. Whatever one raises fails its picture and no other."""

    @abstractmethod
    def read(self, task: Task) -> Loaded:
        """Reads the source. Called in a reader's thread, several at once."""

    @abstractmethod
    def infer(self, loaded: Loaded) -> Made:
        """Prepares the result, whose rows are then asked for. Called in the thread that started the run."""

    @abstractmethod
    def write(self, task: Task, result: Made, rows: Iterator[Pixels]) -> None:
        """Writes the target, whose folder is there, whole or not at all. Called in a writer's thread, several at once.

        Args:
            task: the picture.
            result: as `infer` gave it; its own rows are not to be touched.
            rows: all rows in order. Raises RowsLostError where they end early: nothing may be left behind then.
        """


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """How much goes on at once. At most `2 * jobs + 1` pictures are in memory.

    Attributes:
        jobs: pictures read at once, or ahead; and pictures written at once.
        queue_bytes: of a picture's rows that wait for its writer.
    """

    jobs: int = 2
    queue_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(f"jobs must be at least 1, got {self.jobs}")
        if self.queue_bytes < 1:
            raise ConfigError(f"queue_bytes must be at least 1, got {self.queue_bytes}")


@dataclass(frozen=True, kw_only=True)
class Started:
    """It is a picture's turn.

    Attributes:
        task: the picture.
        index: its place among the tasks.
        count: of tasks.
    """

    task: Task
    index: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Rows of a picture are made.

    Attributes:
        task: the picture.
        index: its place among the tasks.
        share: of its rows, 0..1.
        detail: what else there is to say, such as a speed.
    """

    task: Task
    index: int
    share: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """It is over with a picture, one way or another.

    Attributes:
        outcome: what became of it.
    """

    outcome: Outcome


Event = Started | Progress | Finished
Report = Callable[[Event], None]
"""Takes events, always in the thread that started the run; what it raises ends the run."""
