"""Ctrl-C and other signals in a batch: what is in work is given up, and handlers are put back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.batch.channel import RowsLostError
from engines.batch.interruption import Interruption, interruption, patiently
from engines.batch.pipeline import run_batch
from engines.batch.summary import failure_lines
from engines.batch.task import Task
from engines.batch.work import Concurrency, Finished, Result
from tests.batch_samples import (
    NARROW,
    Events,
    FakeWork,
    assert_whole_or_absent,
    raising,
    statuses,
    tasks_in,
    wait_for,
)


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("where", ["00002", "00002/0", "00002/3"])
@pytest.mark.parametrize("jobs", [1, 4])
def test_ctrl_c_gives_up_the_picture_in_work_and_finishes_those_before(tmp_path: Path, where: str, jobs: int) -> None:
    hook = raising(KeyboardInterrupt(), where)
    work = FakeWork(on_infer=hook, on_row=hook)
    events = Events()
    summary = run_batch(tasks_in(tmp_path, 30), work, concurrency=Concurrency(jobs=jobs), report=events)
    assert statuses(summary) == "dd" + 28 * "c"
    assert summary.interrupted
    assert summary.exit_code == 130
    assert_whole_or_absent(tmp_path, summary)
    # Nothing is read any more but what was read ahead already.
    assert len(work.begun) <= 3 + jobs
    assert len([event for event in events.all if isinstance(event, Finished)]) == 30
    assert failure_lines(summary) == ("28 not done: interrupted; --skip-existing goes on from here",)


@pytest.mark.skipif(os.name == "nt", reason="no signals to oneself")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_signal_ends_the_run_and_more_of_them_break_nothing(tmp_path: Path, number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    interrupted, go_on = threading.Event(), threading.Event()

    def on_row(place: str) -> None:
        if place == "00001/1":
            signal.raise_signal(number)
            pytest.fail("the signal should have interrupted the engine")

    def on_write(place: str) -> None:
        # The first picture is still being written when the signal comes, and while further ones do.
        if place == "00000/0":
            wait_for(interrupted)
            for _ in range(3):
                os.kill(os.getpid(), number)
            assert not go_on.wait(0.05)

    class Noting(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            try:
                super().write(task, result, rows)
            except RowsLostError:
                interrupted.set()
                raise

    work = Noting(on_row=on_row, on_write=on_write)
    summary = run_batch(tasks_in(tmp_path, 5), work, concurrency=Concurrency(jobs=2))
    assert statuses(summary) == "dcccc"
    assert_whole_or_absent(tmp_path, summary)
    assert signal.getsignal(number) is handler


@pytest.mark.skipif(os.name == "nt", reason="no signals to oneself")
def test_a_signal_ends_waiting_for_a_reader(tmp_path: Path) -> None:
    asked = threading.Event()

    def on_read(name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        asked.set()

    summary = run_batch(tasks_in(tmp_path, 3), FakeWork(on_read=on_read), concurrency=NARROW)
    assert asked.is_set()
    assert summary.interrupted
    assert statuses(summary) == "ccc"


def test_an_end_that_is_interrupted_is_taken_up_again() -> None:
    wish, calls = Interruption(), list[int]()

    def act() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            raise KeyboardInterrupt

    patiently(act, wish)
    assert (calls, wish.asked) == ([0, 1, 2], True)


def test_handlers_of_others_and_other_threads_are_left_alone() -> None:
    def handler(number: int, frame: object) -> None:
        pytest.fail("not to be called")

    before = signal.signal(signal.SIGINT, handler)
    try:
        with interruption():
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    seen: list[object] = []

    def elsewhere() -> None:
        with interruption():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]
