"""Pictures through three stages at once: order, threads, events, a bounded number in flight, and idle time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from engines.batch.outcome import Outcome, Status
from engines.batch.pipeline import run_batch
from engines.batch.task import Task
from engines.batch.work import Concurrency, Finished, Progress, Result, Started
from tests.batch_samples import (
    BAND_BYTES,
    BANDS,
    HEIGHT,
    NARROW,
    WIDTH,
    Events,
    FakeWork,
    assert_whole_or_absent,
    statuses,
    tasks_in,
    wait_for,
)


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_all_pictures_come_out_in_order_and_whole(tmp_path: Path, jobs: int) -> None:
    work, events = FakeWork(), Events()
    summary = run_batch(tasks_in(tmp_path, 7), work, concurrency=Concurrency(jobs=jobs), report=events)
    assert [outcome.source.stem for outcome in summary.outcomes] == [f"{index:05}" for index in range(7)]
    assert statuses(summary) == "ddddddd"
    assert summary.exit_code == 0
    assert_whole_or_absent(tmp_path, summary)
    first = summary.outcomes[0]
    assert (first.width, first.height, first.warnings, first.reason) == (WIDTH, HEIGHT, ("fake",), None)
    assert work.closed == [f"{index:05}" for index in range(7)]


def test_stages_run_in_their_own_threads_and_the_engine_in_the_callers(tmp_path: Path) -> None:
    work, events = FakeWork(), Events()
    run_batch(tasks_in(tmp_path, 6), work, report=events)
    here = {threading.current_thread().name}
    assert work.threads["infer"] == here
    assert events.threads == here
    assert all(name.startswith("efdn-read") for name in work.threads["read"])
    assert all(name.startswith("efdn-write") for name in work.threads["write"])


def test_events_tell_start_shares_and_end_of_each_picture(tmp_path: Path) -> None:
    events = Events()
    before = Outcome(source=tmp_path / "old.png", status=Status.SKIPPED, reason="its result exists")
    summary = run_batch(tasks_in(tmp_path, 3), FakeWork(), before=[before], report=events)
    assert events.all[0] == Finished(outcome=before)
    assert summary.outcomes[0] is before
    assert [(event.index, event.count) for event in events.all if isinstance(event, Started)] == [
        (0, 3),
        (1, 3),
        (2, 3),
    ]
    shares = [event.share for event in events.all if isinstance(event, Progress) and event.index == 1]
    assert shares == [(band + 1) / BANDS for band in range(BANDS)]
    finished = [event.outcome for event in events.all if isinstance(event, Finished)]
    assert sorted(finished, key=lambda outcome: outcome.source.name) == [
        *summary.outcomes[1:],
        before,
    ]


def test_the_next_picture_is_read_and_the_last_one_written_while_the_engine_works(tmp_path: Path) -> None:
    """Each stage waits until the others are busy with other pictures: stages in a row would wait for ever."""
    read_third, infer_second, write_first = threading.Event(), threading.Event(), threading.Event()

    def on_read(name: str) -> None:
        if name == "00002":
            read_third.set()
            wait_for(infer_second)

    def on_row(place: str) -> None:
        if place == "00001/0":
            infer_second.set()
            wait_for(read_third)
            wait_for(write_first)

    def on_write(place: str) -> None:
        if place == "00000/3":
            write_first.set()
            wait_for(infer_second)

    work = FakeWork(on_read=on_read, on_row=on_row, on_write=on_write)
    assert statuses(run_batch(tasks_in(tmp_path, 3), work, concurrency=Concurrency(jobs=1))) == "ddd"


def test_rows_are_written_while_the_engine_makes_the_next_ones(tmp_path: Path) -> None:
    first_written = threading.Event()

    def on_row(place: str) -> None:
        if place == "00000/3":
            wait_for(first_written)

    work = FakeWork(on_row=on_row, on_write=lambda place: first_written.set())
    assert statuses(run_batch(tasks_in(tmp_path, 1), work, concurrency=NARROW)) == "d"


@pytest.mark.parametrize("jobs", [1, 3])
def test_thousands_of_pictures_keep_a_bounded_number_in_flight(tmp_path: Path, jobs: int) -> None:
    class Weightless(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            for _ in rows:
                pass
            with self.lock:
                self.alive -= 1

    work = Weightless()
    summary = run_batch(tasks_in(tmp_path, 2000), work, concurrency=Concurrency(jobs=jobs))
    assert summary.count(Status.DONE) == 2000
    assert 1 <= work.most_alive <= 2 * jobs + 1


@pytest.mark.parametrize(
    ("queue_bytes", "last_made", "read"),
    [
        (1, "00000/2", {"00000", "00001"}),
        (2 * BAND_BYTES, "00000/3", {"00000", "00001"}),
        (1 << 20, "00001/3", {"00000", "00001", "00002"}),
    ],
    ids=["one band", "two bands", "whole pictures"],
)
def test_a_slow_writer_holds_reading_and_the_engine_back(
    tmp_path: Path, queue_bytes: int, last_made: str, read: set[str]
) -> None:
    """While the writer is at the first band, bands wait until there is no room, and one more is on offer."""
    reached = threading.Event()
    made: list[str] = []

    def on_row(place: str) -> None:
        made.append(place)
        if place == last_made:
            reached.set()

    def on_write(place: str) -> None:
        if place == "00000/0":
            wait_for(reached)
            sleep(0.1)  # Time to go further, were there nothing to hold it back.
            assert made[-1] == last_made
            assert set(work.begun) <= read

    work = FakeWork(on_write=on_write, on_row=on_row)
    summary = run_batch(tasks_in(tmp_path, 5), work, concurrency=Concurrency(jobs=1, queue_bytes=queue_bytes))
    assert [outcome.reason for outcome in summary.outcomes] == [None] * 5


def test_a_writer_may_stop_at_the_last_row_without_asking_for_more(tmp_path: Path) -> None:
    class Counting(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            for _ in range(BANDS):
                next(rows)

    assert statuses(run_batch(tasks_in(tmp_path, 20), Counting(), concurrency=NARROW)) == "d" * 20


def test_no_tasks_are_no_failure() -> None:
    summary = run_batch([], FakeWork())
    assert (summary.outcomes, summary.exit_code, summary.idle_share <= 1) == ((), 0, True)


def test_idle_time_is_what_the_engine_waited(tmp_path: Path) -> None:
    pause = threading.Event()
    slow_reader = run_batch(tasks_in(tmp_path / "a", 4), FakeWork(on_read=lambda name: void(pause.wait(0.05))))
    assert slow_reader.waits.read_s >= 0.05
    assert slow_reader.idle_share > 0.5
    slow_engine = run_batch(tasks_in(tmp_path / "b", 4), FakeWork(on_infer=lambda name: void(pause.wait(0.1))))
    assert slow_engine.stages.infer_s >= 0.4
    assert slow_engine.idle_share < 0.5
    slow_writer = run_batch(
        tasks_in(tmp_path / "c", 4), FakeWork(on_write=lambda place: void(pause.wait(0.02))), concurrency=NARROW
    )
    assert slow_writer.waits.queue_s + slow_writer.waits.end_s >= 0.05
    # What a writer waits for the engine is no work of its own.
    assert slow_engine.stages.write_s < slow_engine.stages.infer_s / 2


def void(value: object) -> None:
    """Forgets a value, for lambdas."""
