"""Rows on their way from the thread that makes them to the one that writes them."""

from __future__ import annotations

from collections import deque
from threading import Condition
from time import perf_counter

from efdn.errors import EfdnError
from efdn.pictures.picture import Pixels


class RowsLostError(EfdnError):
    """A picture's rows ended before the last one: whoever writes them must leave nothing."""


class RowChannel:
    """A queue of one picture's rows, bounded in bytes. An iterator for the thread that takes them.

    Args:
        most_bytes: of rows that wait; one band is taken whatever its size.

    Attributes:
        error: why the rows ended early; None if they did not, or have not ended yet.
        taken: rows that were.
        waited_s: seconds that the taker waited for rows.
    """

    def __init__(self, most_bytes: int) -> None:
        self.error: BaseException | None = None
        self.taken = 0
        self.waited_s = 0.0
        self._most_bytes = most_bytes
        self._bytes = 0
        self._rows: deque[Pixels] = deque()
        self._ended = False
        self._abandoned = False
        self._changed = Condition()

    @property
    def abandoned(self) -> bool:
        """Whether nobody takes rows any more."""
        return self._abandoned

    def put(self, rows: Pixels, timeout_s: float) -> bool:
        """Adds rows, once there is room.

        Args:
            rows: the next ones.
            timeout_s: how long to wait for room.

        Returns:
            Whether the rows need not be offered again: they are taken in, or nobody takes any more.
        """
        with self._changed:
            self._changed.wait_for(self._has_room, timeout_s)
            if self._abandoned:
                return True
            if not self._has_room():
                return False
            self._rows.append(rows)
            self._bytes += rows.nbytes
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """No rows follow, for an error if there is one. Only the first call counts."""
        with self._changed:
            if self._ended:
                return
            self._ended, self.error = True, error
            if error is not None:
                self._rows.clear()
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody takes rows any more; whoever waits for room is let go."""
        with self._changed:
            self._abandoned = True
            self._rows.clear()
            self._changed.notify_all()

    def wait_for_end(self) -> None:
        """Returns once `end` was called."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended)

    def __iter__(self) -> RowChannel:
        return self

    def __next__(self) -> Pixels:
        """The next rows.

        Raises:
            RowsLostError: there should have been more, and none will come.
            StopIteration: those were the last.
        """
        began = perf_counter()
        with self._changed:
            self._changed.wait_for(lambda: self._rows or self._ended)
            self.waited_s += perf_counter() - began
            if self.error is not None:
                raise RowsLostError("the picture's rows ended early") from self.error
            if not self._rows:
                raise StopIteration
            rows = self._rows.popleft()
            self._bytes -= rows.nbytes
            self.taken += len(rows)
            self._changed.notify_all()
            return rows

    def _has_room(self) -> bool:
        return self._abandoned or not self._rows or self._bytes < self._most_bytes
