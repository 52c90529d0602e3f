"""Decoding, upscaling and encoding at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Protocol

from engines.video.channel import POLL_S, Abandoned, Channel
from engines.video.conversion import Pixels
from engines.video.reader import Portion

READ_AHEAD, WRITE_BEHIND = 4, 2
"""Frames that may wait; those upscaled take many times the memory."""


class Sink(Protocol):
    """What takes upscaled frames; see `VideoWriter`."""

    def write(self, portion: Portion, upscaled: Pixels | None) -> None:
        """Adds a portion."""

    def finish(self) -> None:
        """Completes the result."""

    def close(self) -> None:
        """Lets go of the result, complete or not."""


def run_pipeline(portions: Iterator[Portion], upscale: Callable[[Pixels], Pixels], sink: Sink) -> bool:
    """Reads in one thread, upscales in the calling one, writes in another.

    Ctrl-C ends it early and in good order: what is upscaled by then is written and the result completed. Ctrl-C
    again while that goes on gives up.

    Args:
        portions: frames; iterated in a thread of its own.
        upscale: called in the calling thread, with one frame after the other.
        sink: used in a thread of its own.

    Returns:
        Whether it was interrupted.

    Raises:
        Exception: what reading, upscaling or writing raised; nothing is completed then.
        KeyboardInterrupt: at the second Ctrl-C.
    """
    incoming: Channel[Portion] = Channel(READ_AHEAD)
    outgoing: Channel[tuple[Portion, Pixels | None]] = Channel(WRITE_BEHIND)
    threads = (
        Thread(target=_read, args=(portions, incoming), name="video-read", daemon=True),
        Thread(target=_write, args=(outgoing, sink), name="video-write", daemon=True),
    )
    for thread in threads:
        thread.start()
    interrupted = False
    try:
        try:
            _upscale(incoming, outgoing, upscale)
        except KeyboardInterrupt:
            interrupted = True
        outgoing.end()
        incoming.abandon()
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
    incoming: Channel[Portion], outgoing: Channel[tuple[Portion, Pixels | None]], upscale: Callable[[Pixels], Pixels]
) -> None:
    try:
        for portion in incoming:
            outgoing.put((portion, None if portion.pixels is None else upscale(portion.pixels)))
    except Abandoned as ended:
        raise ended.__cause__ or ended from None


def _read(portions: Iterator[Portion], incoming: Channel[Portion]) -> None:
    try:
        for portion in portions:
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


def _write(outgoing: Channel[tuple[Portion, Pixels | None]], sink: Sink) -> None:
    try:
        for portion, upscaled in outgoing:
            sink.write(portion, upscaled)
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
