"""Decoding, upscaling and encoding at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from time import perf_counter
from typing import Protocol

from engines.video.channel import POLL_S, Abandoned, Channel
from engines.video.conversion import Pixels
from engines.video.reader import Portion

READ_AHEAD, WRITE_BEHIND = 4, 2
"""Frames that may wait; those upscaled take many times the memory."""


@dataclass(kw_only=True)
class PipelineTimes:
    """Seconds, counted while it runs. Each is written by one thread.

    Attributes:
        read_s: of work in the reading thread.
        write_s: of work in the writing thread.
        read_wait_s: in which the calling thread waited for a frame.
        queue_wait_s: in which it waited for room in front of the writing thread.
        end_wait_s: in which it waited for the last frames to be written.
    """

    read_s: float = 0.0
    write_s: float = 0.0
    read_wait_s: float = 0.0
    queue_wait_s: float = 0.0
    end_wait_s: float = 0.0

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Adds the time of the body."""
        began = perf_counter()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + perf_counter() - began)


class Sink(Protocol):
    """What takes upscaled frames; see `VideoWriter`."""

    def write(self, portion: Portion, upscaled: Pixels | None) -> None:
        """Adds a portion."""

    def finish(self) -> None:
        """Completes the result."""

    def close(self) -> None:
        """Lets go of the result, complete or not."""


def run_pipeline(
    portions: Iterator[Portion],
    upscale: Callable[[Pixels], Pixels],
    sink: Sink,
    times: PipelineTimes,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Reads in one thread, upscales in the calling one, writes in another.

    Ctrl-C ends it early and in good order: what is upscaled by then is written and the result completed. Ctrl-C
    again while that goes on gives up.

    Args:
        portions: frames; iterated in a thread of its own.
        upscale: called in the calling thread, with one frame after the other.
        sink: used in a thread of its own.
        times: to be counted.
        check: called in the calling thread between frames and while it waits for one; may raise KeyboardInterrupt.

    Returns:
        Whether it was interrupted.

    Raises:
        Exception: what reading, upscaling or writing raised; nothing is completed then.
        KeyboardInterrupt: at the second Ctrl-C.
    """
    incoming: Channel[Portion] = Channel(READ_AHEAD)
    outgoing: Channel[tuple[Portion, Pixels | None]] = Channel(WRITE_BEHIND)
    threads = (
        Thread(target=_read, args=(portions, incoming, times), name="video-read", daemon=True),
        Thread(target=_write, args=(outgoing, sink, times), name="video-write", daemon=True),
    )
    for thread in threads:
        thread.start()
    interrupted = False
    try:
        try:
            _upscale(incoming, outgoing, upscale, times, check)
        except KeyboardInterrupt:
            interrupted = True
        outgoing.end()
        incoming.abandon()
        with times.counted("end_wait_s"):
            interrupted = _join(threads, interrupted=interrupted)
    except BaseException as error:
        incoming.abandon()
        outgoing.abandon(error)
        for thread in threads:
            thread.join()
        raise
    if outgoing.error is not None:
        raise outgoing.error
    return interrupted


def _upscale(
    incoming: Channel[Portion],
    outgoing: Channel[tuple[Portion, Pixels | None]],
    upscale: Callable[[Pixels], Pixels],
    times: PipelineTimes,
    check: Callable[[], None],
) -> None:
    try:
        while True:
            check()
            with times.counted("read_wait_s"):
                portion = incoming.take(check)
            if portion is None:
                return
            upscaled = None if portion.pixels is None else upscale(portion.pixels)
            # Without a check: what is upscaled is to be written.
            with times.counted("queue_wait_s"):
                outgoing.put((portion, upscaled))
    except Abandoned as ended:
        raise ended.__cause__ or ended from None


def _read(portions: Iterator[Portion], incoming: Channel[Portion], times: PipelineTimes) -> None:
    try:
        while True:
            with times.counted("read_s"):
                portion = next(portions, None)
            if portion is None:
                break
            incoming.put(portion)
    except Abandoned:
        return
    except BaseException as error:  # It goes to the calling thread.
        incoming.end(error)
    else:
        incoming.end()
    finally:
        close = getattr(portions, "close", None)
        if close is not None:
            close()


def _write(outgoing: Channel[tuple[Portion, Pixels | None]], sink: Sink, times: PipelineTimes) -> None:
    try:
        for portion, upscaled in outgoing:
            with times.counted("write_s"):
                sink.write(portion, upscaled)
        with times.counted("write_s"):
            sink.finish()
    except BaseException as error:  # It goes to the calling thread.
        outgoing.abandon(error)
    finally:
        sink.close()


def _join(threads: tuple[Thread, ...], *, interrupted: bool) -> bool:
    """Waits for threads; the first Ctrl-C meanwhile only tells that it came."""
    while any(thread.is_alive() for thread in threads):
        try:
            for thread in threads:
                thread.join(POLL_S)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
    return interrupted
