"""A queue of few places between two threads, either of which may end it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")

POLL_S = 0.2
"""Between looks at a queue: waits without an end cannot be interrupted on Windows."""


class Abandoned(Exception):  # noqa: N818 - not an error: the other side wants no more
    """Nothing more is taken; the reason is the cause, if there is one."""


class Channel(Generic[Item]):
    """Hands items from one thread to another, in order.

    Args:
        places: how many items may wait.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._items: deque[Item] = deque()
        self._changed = Condition()
        self._ended = self._abandoned = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Adds an item, once there is a place.

        Raises:
            Abandoned: nothing more is taken.
        """
        with self._changed:
            while len(self._items) >= self._places and not self._abandoned:
                self._changed.wait(POLL_S)
            if self._abandoned:
                raise Abandoned from self._error
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes: what waits is still taken, then iteration ends, or raises `error`."""
        with self._changed:
            self._ended, self._error = True, self._error or error
            self._changed.notify_all()

    def abandon(self, error: BaseException | None = None) -> None:
        """Nothing more is taken, because of `error` if it is given."""
        with self._changed:
            self._abandoned, self._error = True, self._error or error
            self._items.clear()
            self._changed.notify_all()

    @property
    def error(self) -> BaseException | None:
        """Why it ended, if not because there was nothing more."""
        return self._error

    def take(self, check: Callable[[], None] = lambda: None) -> Item | None:
        """The next item, once there is one; None where nothing more comes.

        Args:
            check: called now and then while there is none; may raise.

        Raises:
            BaseException: why the queue ended, if not because there was nothing more.
        """
        with self._changed:
            while not self._items and not self._ended and not self._abandoned:
                check()
                self._changed.wait(POLL_S)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    def __iter__(self) -> Iterator[Item]:
        while (item := self.take()) is not None:
            yield item
