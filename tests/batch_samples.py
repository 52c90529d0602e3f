"""Work on pictures that are not there: stages that can be held, failed and looked into."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from efdn.files import staged
from engines.batch.outcome import Status
from engines.batch.sources import Source
from engines.batch.summary import Summary
from engines.batch.task import Task
from engines.batch.work import Concurrency, Event, Result

WIDTH, BANDS, BAND_ROWS = 8, 4, 2
HEIGHT = BANDS * BAND_ROWS
BAND_BYTES = BAND_ROWS * WIDTH * 3
TIMEOUT_S = 20
"""After which a test that should never wait so long fails rather than hangs."""
NARROW = Concurrency(jobs=1, queue_bytes=1)
"""One thread a stage, and room for one band between them."""

Hook = Callable[[str], None]


def nothing(name: str) -> None:
    """A hook that does nothing."""


def touch(*paths: Path) -> None:
    """Empty files, with their folders."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def source(path: Path, relative: str | None = None, *, named: bool = False) -> Source:
    """A source as if it was found."""
    return Source(path=path, relative=Path(relative or path.name), named=named)


def tasks_in(folder: Path, count: int) -> list[Task]:
    """Tasks "00000" and so on, whose sources need not exist."""
    return [
        Task(source=source(folder / f"{index:05}.png"), target=folder / "out" / f"{index:05}_x4.png")
        for index in range(count)
    ]


def name_of(task: Task) -> str:
    """A task's name, such as "00003"."""
    return task.source.path.stem


def no_space() -> OSError:
    """What a full disk raises."""
    return OSError(errno.ENOSPC, "No space left on device")


@dataclass(kw_only=True)
class FakeWork:
    """Makes pictures of constant rows.

    Attributes:
        on_read: called with the task's name while it is read; may wait or raise.
        on_infer: while it is prepared.
        on_row: before each of its bands is made, with "NAME/BAND".
        on_write: after each band is taken, with "NAME/BAND".
        closed: names of pictures whose rows were closed.
        threads: names of threads by stage.
        most_alive: most pictures between the start of reading and the end of writing at once.
    """

    on_read: Hook = nothing
    on_infer: Hook = nothing
    on_row: Hook = nothing
    on_write: Hook = nothing
    closed: list[str] = field(default_factory=list)
    threads: dict[str, set[str]] = field(default_factory=lambda: {"read": set(), "infer": set(), "write": set()})
    begun: list[str] = field(default_factory=list)
    alive: int = 0
    most_alive: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def read(self, task: Task) -> str:
        with self.lock:
            self.begun.append(name_of(task))
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)
        self.threads["read"].add(threading.current_thread().name)
        self.on_read(name_of(task))
        return name_of(task)

    def infer(self, loaded: str) -> Result:
        self.threads["infer"].add(threading.current_thread().name)
        self.on_infer(loaded)
        return Result(width=WIDTH, height=HEIGHT, rows=self._rows(loaded))

    def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
        name = name_of(task)
        self.threads["write"].add(threading.current_thread().name)
        with staged(task.target) as temporary, temporary.open("wb") as file:
            for index, band in enumerate(rows):
                self.on_write(f"{name}/{index}")
                file.write(band.tobytes())
            result.warnings.append("fake")
        with self.lock:
            self.alive -= 1

    def _rows(self, name: str) -> Iterator[np.ndarray]:
        try:
            for band in range(BANDS):
                self.on_row(f"{name}/{band}")
                yield np.full((BAND_ROWS, WIDTH, 3), band, np.uint8)
        finally:
            self.closed.append(name)


def content() -> bytes:
    """What a fake picture's file holds when it is whole."""
    return b"".join(bytes([band]) * BAND_BYTES for band in range(BANDS))


@dataclass(kw_only=True)
class Events:
    """Gathers what is reported, and by which thread."""

    all: list[Event] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        self.threads.add(threading.current_thread().name)
        self.all.append(event)


def raising(error: BaseException, at: str) -> Hook:
    """A hook that raises at one place."""

    def hook(name: str) -> None:
        if name == at:
            raise error

    return hook


def wait_for(event: threading.Event) -> None:
    """Waits, but not for ever."""
    assert event.wait(TIMEOUT_S), "what was waited for did not happen"


def statuses(summary: Summary) -> str:
    """One letter for each outcome."""
    return "".join(outcome.status.value[0] for outcome in summary.outcomes)


def assert_whole_or_absent(folder: Path, summary: Summary) -> None:
    """Every result that is done is there whole, and nothing else is."""
    done = {outcome.target for outcome in summary.outcomes if outcome.status is Status.DONE}
    there = set((folder / "out").iterdir()) if (folder / "out").exists() else set()
    assert there == done
    assert all(path.read_bytes() == content() for path in there)
