"""Batches made in threads while the network trains."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from types import TracebackType
from typing import Generic, TypeVar

from efdn.errors import ConfigError

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Iterates over `(iteration, make(iteration))` in order, made ahead of time; itself for one thread.

    Args:
        make: a function of the iteration alone; called from several threads at once.
        start: the first iteration.
        stop: the iteration after the last one; None for no end.
        ahead: most batches ready or in the making.
        workers: threads; with 0 each batch is made when it is asked for.

    Attributes:
        made: batches handed out.
        waited_s: seconds that the consumer waited for them, in all.

    Raises:
        ConfigError: a value out of its range.
    """

    def __init__(
        self, make: Callable[[int], T], *, start: int, stop: int | None = None, ahead: int = 3, workers: int = 2
    ) -> None:
        if workers < 0 or ahead < 1:
            raise ConfigError(f"workers must be at least 0 and ahead at least 1, got {workers} and {ahead}")
        self.made = 0
        self.waited_s = 0.0
        self._make = make
        self._next = start
        self._stop = stop
        self._ahead = ahead
        self._pending: deque[tuple[int, Future[T]]] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="efdn-data") if workers else None
        self._closed = False
        self._fill()

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return self

    def __next__(self) -> tuple[int, T]:
        """The next batch.

        Raises:
            StopIteration: there is none left, or this is closed.
            Exception: whatever `make` raised for this batch; nothing follows it.
        """
        if self._closed:
            raise StopIteration
        began = perf_counter()
        try:
            iteration, batch = self._take()
        except BaseException:
            self.close()
            raise
        self.waited_s += perf_counter() - began
        self.made += 1
        self._fill()
        return iteration, batch

    def close(self) -> None:
        """Waits for what is in the making, forgets it, and ends the threads; again is harmless."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

    def __enter__(self) -> Prefetcher[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> tuple[int, T]:
        if self._pool is None:
            iteration = self._advance()
            return iteration, self._make(iteration)
        if not self._pending:
            raise StopIteration
        iteration, future = self._pending.popleft()
        return iteration, future.result()

    def _fill(self) -> None:
        while self._pool is not None and len(self._pending) < self._ahead and self._next != self._stop:
            iteration = self._advance()
            self._pending.append((iteration, self._pool.submit(self._make, iteration)))

    def _advance(self) -> int:
        if self._next == self._stop:
            raise StopIteration
        self._next += 1
        return self._next - 1
