"""Pictures through three stages at once: read ahead, inferred in the calling thread, written behind.

The engine belongs to one thread, and that is where Ctrl-C arrives. Threads beside it
read the next pictures and write the last ones, so that it need not wait. Rows go to a
writer as they are made, through a channel that holds a bounded number of bytes.

A picture that fails is an outcome, whatever it failed of. When the end is asked for, or
three pictures in a row find the disk full, nothing new is begun: the picture in the
engine is given up, those behind it are written to the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from threading import Semaphore
from time import perf_counter
from typing import Any, Generic

from efdn.errors import OutputError
from engines.batch.channel import RowChannel
from engines.batch.interruption import Interruption, interruption, patiently
from engines.batch.ledger import Ledger, Ticket
from engines.batch.outcome import Outcome
from engines.batch.summary import Summary, Waits
from engines.batch.task import Task
from engines.batch.work import Concurrency, Event, Finished, Loaded, Made, Progress, Report, Started, Work

POLL_S = 0.1
"""How long the calling thread waits at most before it looks for an interruption and for what is to be told."""

DEFAULT_CONCURRENCY = Concurrency()


def run_batch(
    tasks: Sequence[Task],
    work: Work[Loaded, Made],
    *,
    concurrency: Concurrency = DEFAULT_CONCURRENCY,
    before: Sequence[Outcome] = (),
    report: Report = lambda event: None,
) -> Summary:
    """Does the work on every picture.

    Args:
        tasks: the pictures, in the order in which they are begun.
        work: what is done with each.
        concurrency: how much goes on at once.
        before: outcomes of pictures that there is no work on; they are reported first.
        report: takes what happens.

    Returns:
        An outcome for each picture, none missing, also after Ctrl-C. All threads have ended.
    """
    began = perf_counter()
    batch = _Batch(tasks, work, concurrency, report)
    for outcome in before:
        report(Finished(outcome=outcome))
    with interruption() as wish:
        try:
            batch.run_and_close(wish)
            batch.settle()
        except _ReportError as failed:
            raise failed.error from None
    return Summary(
        outcomes=(*before, *batch.ledger.outcomes()),
        seconds=perf_counter() - began,
        interrupted=wish.asked,
        waits=Waits(**batch.waited_s),
    )


class _Batch(Generic[Loaded, Made]):
    """A run's threads, and what passes between them."""

    def __init__(self, tasks: Sequence[Task], work: Work[Loaded, Made], concurrency: Concurrency, report: Report):
        self.ledger = Ledger(tasks)
        self.waited_s = {"read_s": 0.0, "queue_s": 0.0, "end_s": 0.0}
        self._tickets = [Ticket(index=index, task=task) for index, task in enumerate(tasks)]
        self._unread = iter(self._tickets)
        self._work, self._report, self._concurrency = work, report, concurrency
        self._readers = ThreadPoolExecutor(concurrency.jobs, thread_name_prefix="efdn-read")
        self._writers = ThreadPoolExecutor(concurrency.jobs, thread_name_prefix="efdn-write")
        # One more than there are writers: they are not to wait for the engine to begin the next picture.
        self._slots = Semaphore(concurrency.jobs + 1)
        self._reading: deque[Future[Loaded]] = deque()
        self._wish = Interruption()

    def run_and_close(self, wish: Interruption) -> None:
        """Does the work, until the end of it or of patience with it; all threads have ended then."""
        self._wish = wish
        try:
            self._run()
        except KeyboardInterrupt:
            wish.asked = True
        finally:
            patiently(self._close, wish)

    def settle(self) -> None:
        """Accounts for what was not begun, and tells the rest."""
        self.ledger.cancel_rest()
        self._tell()

    def _run(self) -> None:
        """Takes the pictures in order, and returns when the last one is written."""
        for _ in range(self._concurrency.jobs):
            self._read_ahead()
        for ticket in self._tickets:
            self._wait("queue_s", self._slot)
            if self.ledger.disk_full:
                self._slots.release()
                break
            self._tell(Started(task=ticket.task, index=ticket.index, count=len(self._tickets)))
            self._turn(ticket)
        for _ in range(self._concurrency.jobs + 1):
            self._wait("end_s", self._slot)

    def _close(self) -> None:
        """Ends the threads: reading ahead is dropped, writing goes on to its end. Again is harmless."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._writers.shutdown(wait=True)

    def _read_ahead(self) -> None:
        if (ticket := next(self._unread, None)) is not None:
            self._reading.append(self._readers.submit(self._read, ticket))

    def _read(self, ticket: Ticket) -> Loaded:
        began = perf_counter()
        try:
            return self._work.read(ticket.task)
        finally:
            ticket.read_s = perf_counter() - began

    def _turn(self, ticket: Ticket) -> None:
        """One picture's turn in the engine; it holds a slot, which its writer gives back."""
        future = self._reading.popleft()
        self._wait("read_s", partial(_is_done, future))
        self._read_ahead()
        try:
            loaded = future.result()
            with self._timed(ticket):
                result = self._work.infer(loaded)
        except KeyboardInterrupt:
            self.ledger.cancelled(ticket)
            self._slots.release()
            raise
        except Exception as error:
            self.ledger.failed(ticket, error)
            self._slots.release()
            return
        channel = RowChannel(self._concurrency.queue_bytes)
        self._writers.submit(self._write, ticket, result, channel)
        try:
            self._produce(ticket, result, channel)
        except BaseException as error:
            channel.end(error)
            raise
        channel.end()

    def _produce(self, ticket: Ticket, result: Made, channel: RowChannel) -> None:
        made = 0
        try:
            while not channel.abandoned:
                with self._timed(ticket):
                    rows = next(result.rows, None)
                if rows is None:
                    break
                made += len(rows)
                self._wait("queue_s", partial(channel.put, rows))
                self._tell(Progress(task=ticket.task, index=ticket.index, share=min(1.0, made / result.row_count)))
        except Exception as error:
            channel.end(error)
        finally:
            close = getattr(result.rows, "close", None)
            with suppress(Exception):
                if close is not None:
                    close()

    def _write(self, ticket: Ticket, result: Made, channel: RowChannel) -> None:
        """In a writer's thread: one picture from its first row to its outcome."""
        failure: BaseException | None = None
        began = perf_counter()
        try:
            ticket.task.target.parent.mkdir(parents=True, exist_ok=True)
            self._work.write(ticket.task, result, channel)
        except BaseException as error:  # A thread has nobody to raise to.
            failure = error
        finally:
            channel.abandon()
            ticket.write_s = perf_counter() - began - channel.waited_s
            channel.wait_for_end()
            try:
                self._enter(ticket, result, channel, failure)
            finally:
                self._slots.release()

    def _enter(self, ticket: Ticket, result: Made, channel: RowChannel, failure: BaseException | None) -> None:
        whole = failure is None and channel.taken >= result.row_count
        if isinstance(channel.error, Exception):
            self.ledger.failed(ticket, channel.error)
        elif whole:
            self.ledger.done(ticket, result)
        elif channel.error is not None:
            self.ledger.cancelled(ticket)
        else:
            self.ledger.failed(ticket, failure or _short(ticket, channel.taken, result.row_count))

    def _slot(self, timeout_s: float) -> bool:
        return self._slots.acquire(timeout=timeout_s)

    def _wait(self, what: str, ready: Callable[[float], bool]) -> None:
        """Waits until something is ready, with an eye on interruptions; the time counts as the engine's idle time."""
        self._wish.check()
        began = perf_counter()
        try:
            while not ready(POLL_S):
                self._wish.check()
                self._tell()
        finally:
            self.waited_s[what] += perf_counter() - began

    def _tell(self, *events: Event) -> None:
        """Reports outcomes that came in, then the events."""
        try:
            for outcome in self.ledger.untold():
                self._report(Finished(outcome=outcome))
            for event in events:
                self._report(event)
        except Exception as error:
            raise _ReportError(error) from error

    @contextmanager
    def _timed(self, ticket: Ticket) -> Iterator[None]:
        """The engine's time on a picture; only here Ctrl-C may interrupt anywhere."""
        began = perf_counter()
        try:
            with self._wish.at_once():
                yield
        finally:
            ticket.infer_s += perf_counter() - began


class _ReportError(BaseException):
    """Whoever is told what happens has failed; no failure of a picture, and not to be caught as one."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _is_done(future: Future[Any], timeout_s: float) -> bool:
    return bool(wait([future], timeout_s).done)


def _short(ticket: Ticket, taken: int, expected: int) -> OutputError:
    return OutputError(f"{ticket.task.target} should have {expected} rows, got {taken}: report this with the picture")
