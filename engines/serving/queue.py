"""Who is at work, who waits, and who is sent away. For the event loop's thread alone."""

from __future__ import annotations

import asyncio
import math
from enum import Enum

from engines.serving.errors import BusyError

FIRST_GUESS_S = 5.0
"""Seconds of work for a picture, before any was done."""

WEIGHT = 0.2
"""Of the latest picture in the mean of recent times."""

LONGEST_WAIT_S = 120


class State(str, Enum):
    """Where a request is."""

    ARRIVING = "arriving"
    WAITING = "waiting"
    WORKING = "working"
    GONE = "gone"


class Place:
    """A request's place.

    Attributes:
        state: where it is.
    """

    def __init__(self, line: Line) -> None:
        self.state = State.ARRIVING
        self._line = line
        self._turn: asyncio.Future[None] | None = None

    async def turn(self) -> None:
        """Returns when it is this request's turn; first come, first served, by the ends of uploads."""
        self.state = State.WAITING
        self._turn = asyncio.get_running_loop().create_future()
        self._line.waiting.append(self)
        self._line.move_up()
        await self._turn

    def leave(self, seconds: float | None = None) -> None:
        """Gives the place back; again is harmless.

        Args:
            seconds: that the work took, if it was done to its end.
        """
        self._line.remove(self, seconds)

    def begin(self) -> None:
        """It is its turn."""
        self.state = State.WORKING
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def refuse(self, error: Exception) -> None:
        """Sends a request away that waits."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_exception(error)

    @property
    def position(self) -> int:
        """1 is next; of one that still arrives, behind all who wait."""
        waiting = self._line.waiting
        return waiting.index(self) + 1 if self in waiting else len(waiting) + 1


class Line:
    """At most `jobs` requests at work, and `queue` more that wait or arrive.

    A request takes its place before its body is read, so that bodies do not pile up, and a worker only once its
    body is whole, so that slow senders hold none.

    Args:
        jobs: requests at work at once.
        queue: requests besides.

    Attributes:
        waiting: in their order.
        places: all that are taken.
    """

    def __init__(self, jobs: int, queue: int) -> None:
        self._jobs, self._most = jobs, jobs + queue
        self.waiting: list[Place] = []
        self.places: set[Place] = set()
        self._mean_s = FIRST_GUESS_S

    @property
    def working(self) -> int:
        """Requests at work, those that were given up but have not ended among them."""
        return sum(place.state is State.WORKING for place in self.places)

    @property
    def full(self) -> bool:
        """Whether the next one is sent away."""
        return len(self.places) >= self._most

    def enter(self) -> Place:
        """A place at the end.

        Raises:
            BusyError: there is none.
        """
        if self.full:
            raise BusyError(
                f"the server has {self._most} pictures to do, and takes no more: try again after Retry-After seconds",
                self.retry_after_s,
            )
        place = Place(self)
        self.places.add(place)
        return place

    @property
    def retry_after_s(self) -> int:
        """When half of those who wait will be done, by the times of recent pictures."""
        seconds = self._mean_s * (1 + len(self.waiting) / 2) / self._jobs
        return max(1, min(LONGEST_WAIT_S, math.ceil(seconds)))

    def move_up(self) -> None:
        """Gives workers that are free to those who wait."""
        while self.waiting and self.working < self._jobs:
            self.waiting.pop(0).begin()

    def remove(self, place: Place, seconds: float | None) -> None:
        """See `Place.leave`."""
        place.state = State.GONE
        self.places.discard(place)
        if place in self.waiting:
            self.waiting.remove(place)
        if seconds is not None:
            self._mean_s += WEIGHT * (seconds - self._mean_s)
        self.move_up()
