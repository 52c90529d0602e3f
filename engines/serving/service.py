"""What all requests share: engines, the queue, workers, and the folder of their files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from efdn.version import __version__
from engines.serving.errors import BusyError, ServeError
from engines.serving.journal import Notes, Tell
from engines.serving.metrics import Metrics
from engines.serving.options import ServeOptions
from engines.serving.pool import EnginePool
from engines.serving.queue import Line, Place
from engines.serving.watch import Watch

LOOKERS = 2
"""Threads that read headers."""

T = TypeVar("T")


@dataclass(eq=False, kw_only=True)
class Job:
    """A request that has a place.

    Attributes:
        place: in the queue.
        watch: on its work.
        folder: of its files.
        id: under which its progress is asked for.
        given_up: set once the time for accepted work is over.
    """

    place: Place
    watch: Watch = field(default_factory=Watch)
    folder: Path
    id: str | None
    given_up: asyncio.Event = field(default_factory=asyncio.Event)


class Service:
    """Lives as long as the server.

    Args:
        options: see there.
        pool: its engines; closed with it.
        tell: takes each request that is over.

    Attributes:
        stopping: whether new work is refused, because the end was asked for.
    """

    def __init__(self, options: ServeOptions, pool: EnginePool, tell: Tell = lambda notes: None) -> None:
        self.options, self.pool, self.tell = options, pool, tell
        self.line = Line(options.jobs, options.queue)
        self.metrics = Metrics(self.line, version=__version__, engine=pool.default.name)
        self.workers = ThreadPoolExecutor(options.jobs, thread_name_prefix="efdn-work")
        self.lookers = ThreadPoolExecutor(LOOKERS, thread_name_prefix="efdn-look")
        self.stopping = False
        self._folder = self._new_folder()
        self._jobs: set[Job] = set()
        self._running: set[Future[Any]] = set()
        self._by_id: dict[str, Job] = {}

    @property
    def idle(self) -> bool:
        """Whether no request is waiting, at work, or being answered."""
        return not self._jobs

    @property
    def accepted(self) -> int:
        """How many requests are waiting, at work, or being answered."""
        return len(self._jobs)

    @property
    def folder(self) -> Path:
        """Of all files of requests."""
        return Path(self._folder.name)

    def refusal(self) -> str | None:
        """Why a new picture would be refused now; None if it would not."""
        if self.stopping:
            return "the server is stopping"
        return "the queue is full" if self.line.full else None

    def enter(self, known_as: str | None) -> Job:
        """Takes a place for a request, and makes its folder.

        Raises:
            BusyError: there is none, or the server is about to end.
            ServeError: the id is in use.
        """
        if self.stopping:
            raise self.ending()
        if known_as is not None and known_as in self._by_id:
            raise ServeError(409, f"the id {known_as} is in use: choose another, at random, for each request")
        place = self.line.enter()
        try:
            job = Job(place=place, id=known_as, folder=self._folder_of_one())
        except OSError:
            place.leave()
            raise
        self._jobs.add(job)
        if known_as is not None:
            self._by_id[known_as] = job
        return job

    def find(self, known_as: str) -> Job | None:
        """The request whose progress is asked for."""
        return self._by_id.get(known_as)

    def answered(self, job: Job) -> None:
        """Nobody is to ask for its progress any more; its place it may still have."""
        if job.id is not None and self._by_id.get(job.id) is job:
            del self._by_id[job.id]

    def left(self, job: Job) -> None:
        """It is over with a request."""
        self._jobs.discard(job)

    def begin(self, threads: ThreadPoolExecutor, act: Callable[[], T]) -> Future[T]:
        """Has something done in a thread, which `close` waits for."""
        future = threads.submit(act)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def ending(self) -> BusyError:
        """What is answered once no picture is taken any more."""
        return BusyError("the server is stopping: try again when it is back", self.line.retry_after_s)

    def over(self, notes: Notes) -> None:
        """Counts and tells a request that is over."""
        notes.end()
        self.metrics.count(notes)
        self.tell(notes)

    def give_up(self) -> None:
        """Ends what is still at work, or waits. For the event loop's thread."""
        for job in self._jobs:
            job.watch.stop(self.ending())
            job.given_up.set()

    def close(self, patience_s: float) -> bool:
        """Ends work at its next tile, closes the engines, and removes all files.

        Args:
            patience_s: how long it waits for threads that cannot be stopped, such as one that encodes a picture.

        Returns:
            Whether all have ended; the engines stay open if not.
        """
        for job in self._jobs:
            job.watch.stop(self.ending())
        for threads in (self.workers, self.lookers):
            threads.shutdown(wait=False, cancel_futures=True)
        ended = not wait(list(self._running), patience_s).not_done
        if ended:
            self.pool.close()
        self._folder.cleanup()
        return ended

    def _new_folder(self) -> tempfile.TemporaryDirectory[str]:
        # What a thread still writes to cannot be removed on Windows.
        return tempfile.TemporaryDirectory(prefix="efdn-serve-", dir=self.options.folder, ignore_cleanup_errors=True)

    def _folder_of_one(self) -> Path:
        """A folder for one request's files."""
        try:
            return Path(tempfile.mkdtemp(dir=self.folder))
        except FileNotFoundError:  # What removes old files from temporary folders has removed it.
            self._folder.cleanup()
            self._folder = self._new_folder()
            return Path(tempfile.mkdtemp(dir=self.folder))
