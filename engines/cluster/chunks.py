"""Tasks in portions that a worker takes at once."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.batch.task import Task

MOST_PICTURES = 8
"""Of a chunk: enough to read ahead within it, few enough that no worker is left alone with many at the end."""

CHUNKS_PER_WORKER = 4
"""That there are at least, where there are pictures enough: workers are not equally fast."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What a worker does before it asks for more.

    Attributes:
        number: of the chunk, unique in a run.
        indexes: of its tasks among all.
        tasks: with absolute paths.
    """

    number: int
    indexes: tuple[int, ...]
    tasks: tuple[Task, ...]

    def packed(self) -> bytes:
        """As bytes: names of files need not be text."""
        return pickle.dumps(self)


def unpacked(content: bytes) -> Chunk:
    """The chunk in what `packed` gave; content comes from this run's own driver."""
    chunk = pickle.loads(content)
    if not isinstance(chunk, Chunk):
        raise TypeError(f"expected a chunk, got {type(chunk).__name__}")
    return chunk


def pictures_per_chunk(count: int, workers: int) -> int:
    """How many pictures make a chunk: fewer where there are few for each worker."""
    return max(1, min(MOST_PICTURES, count // (CHUNKS_PER_WORKER * max(1, workers))))


def divided(indexes: Sequence[int], tasks: Sequence[Task], most: int) -> list[tuple[int, ...]]:
    """Indexes of tasks in portions; pictures first, then each video by itself.

    Args:
        indexes: of the tasks to divide.
        tasks: all of them.
        most: pictures in a portion.
    """
    pictures = [index for index in indexes if not tasks[index].source.video]
    videos = [index for index in indexes if tasks[index].source.video]
    portions = [tuple(pictures[start : start + most]) for start in range(0, len(pictures), most)]
    return portions + [(index,) for index in videos]


def anywhere(task: Task) -> Task:
    """A task whose paths do not depend on the working folder."""
    source = replace(task.source, path=absolute(task.source.path))
    return Task(source=source, target=absolute(task.target))


def absolute(path: Path) -> Path:
    """Without following links, as results stand beside the link; ".." stays, as behind a link it leads elsewhere."""
    return path.absolute()
