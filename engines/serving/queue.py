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
    SENDING = "sending"
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

    def send(self, seconds: float) -> None:
        """The work is done, and the next one's turn; the result is kept until the client has it.

        Args:
            seconds: that the work took.
        """
        self._line.finish(self, seconds)

    def leave(self) -> None:
        """Gives the place back; again is harmless."""
        self._line.remove(self)

    def begin(self) -> None:
        """It is its turn."""
        self.state = State.WORKING
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    @property
    def position(self) -> int:
        """1 is next; of one that still arrives, behind all who wait."""
        waiting = self._line.waiting
        return waiting.index(self) + 1 if self in waiting else len(waiting) + 1


class Line:
    """At most `jobs` requests at work, and `queue` more that wait or arrive.

    A request takes its place before its body is read, so that bodies do not pile up, and a worker only once its
    body is whole, so that slow senders hold none. A result that is being sent holds no place, so that slow readers
    keep nobody from being served; but with those who have a place there are at most twice as many as places.

    Args:
        jobs: requests at work at once.
        queue: requests besides.

    Attributes:
        waiting: in their order.
        places: all that are taken.
        sending: those whose results are being sent.
    """

    def __init__(self, jobs: int, queue: int) -> None:
        self._jobs, self._most = jobs, jobs + queue
        self.waiting: list[Place] = []
        self.places: set[Place] = set()
        self.sending: set[Place] = set()
        self._mean_s = FIRST_GUESS_S

    @property
    def working(self) -> int:
        """Requests at work, those that were given up but have not ended among them."""
        return sum(place.state is State.WORKING for place in self.places)

    @property
    def full(self) -> bool:
        """Whether the next one is sent away."""
        return len(self.places) >= self._most or len(self.places) + len(self.sending) >= 2 * self._most

    def enter(self) -> Place:
        """A place at the end.

        Raises:
            BusyError: there is none.
        """
        if self.full:
            pictures = "1 picture" if len(self.places) == 1 else f"{len(self.places)} pictures"
            sent = f" and {len(self.sending)} results to send" if self.sending else ""
            raise BusyError(
                f"the server has {pictures} to do{sent}, and takes no more: try again after Retry-After seconds",
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

    def finish(self, place: Place, seconds: float) -> None:
        """See `Place.send`."""
        place.state = State.SENDING
        self.places.discard(place)
        self.sending.add(place)
        self._mean_s += WEIGHT * (seconds - self._mean_s)
        self.move_up()

    def remove(self, place: Place) -> None:
        """See `Place.leave`."""
        place.state = State.GONE
        self.places.discard(place)
        self.sending.discard(place)
        if place in self.waiting:
            self.waiting.remove(place)
        self.move_up()
