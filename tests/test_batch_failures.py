"""Pictures, writers, engines, disks and reports that fail in a batch: the rest is done, and nothing is left behind."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from efdn.errors import EngineError, ImageError
from engines.batch.channel import RowsLostError
from engines.batch.outcome import Status
from engines.batch.pipeline import run_batch
from engines.batch.summary import failure_lines
from engines.batch.task import Task
from engines.batch.work import Concurrency, Finished, Progress, Result, Started
from tests.batch_samples import (
    BAND_BYTES,
    NARROW,
    Events,
    FakeWork,
    Hook,
    assert_whole_or_absent,
    name_of,
    no_space,
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


@pytest.mark.parametrize(
    ("stage", "error", "said"),
    [
        ("on_read", ImageError("00001.png is broken"), "00001.png is broken"),
        ("on_read", FileNotFoundError(2, "No such file", "00001.png"), "00001.png: no such file"),
        ("on_read", MemoryError(), "out of memory"),
        ("on_infer", EngineError("not finite"), "not finite"),
        ("on_infer", KeyError("oops"), "KeyError: 'oops'"),
        ("on_row", EngineError("lost the\ndevice"), "lost the device"),
        ("on_row", OSError(5, "Input/output error"), "input/output error"),
        ("on_row", MemoryError(), "out of memory"),
        ("on_write", PermissionError(13, "Permission denied"), "permission denied"),
        ("on_write", ValueError("encoder"), "ValueError: encoder"),
        ("on_write", SystemExit(3), "SystemExit: 3"),
    ],
)
@pytest.mark.parametrize("band", [0, 2])
def test_one_bad_picture_does_not_stop_the_rest(
    tmp_path: Path, stage: str, error: BaseException, said: str, band: int
) -> None:
    place = f"00001/{band}" if stage in ("on_row", "on_write") else "00001"
    work = FakeWork()
    setattr(work, stage, raising(error, place))
    summary = run_batch(tasks_in(tmp_path, 4), work, concurrency=NARROW)
    assert statuses(summary) == "dfdd"
    assert summary.exit_code == 1
    assert_whole_or_absent(tmp_path, summary)
    reason = summary.outcomes[1].reason
    assert reason is not None
    assert said in reason
    assert "\n" not in reason
    # Rows that were begun are closed, whoever failed.
    assert set(work.closed) >= {"00000", "00002", "00003"}


def test_unforeseen_errors_keep_their_traceback_and_come_first_in_the_list(tmp_path: Path) -> None:
    def on_infer(name: str) -> None:
        if name == "00000":
            raise ImageError("broken")
        if name == "00001":
            raise KeyError("oops")

    summary = run_batch(tasks_in(tmp_path, 3), FakeWork(on_infer=on_infer))
    assert summary.outcomes[0].traceback is None
    assert summary.outcomes[1].traceback is not None
    assert "on_infer" in summary.outcomes[1].traceback
    assert failure_lines(summary) == (
        f"{tmp_path / '00001.png'}: KeyError: 'oops'",
        f"{tmp_path / '00000.png'}: broken",
    )


def test_a_writer_that_fails_frees_an_engine_that_waits_for_room(tmp_path: Path) -> None:
    """The writer fails only once the next band cannot be put: a producer not let go would wait for ever."""
    offered = threading.Event()

    def on_row(place: str) -> None:
        if place == "00000/2":
            offered.set()

    def on_write(place: str) -> None:
        if place == "00000/0":
            wait_for(offered)
            raise OSError(5, "Input/output error")

    work = FakeWork(on_row=on_row, on_write=on_write)
    summary = run_batch(tasks_in(tmp_path, 2), work, concurrency=NARROW)
    assert statuses(summary) == "fd"
    assert_whole_or_absent(tmp_path, summary)
    assert work.closed == ["00000", "00001"]


def test_the_engine_stops_making_rows_that_nobody_takes(tmp_path: Path) -> None:
    made: list[str] = []
    failed = threading.Event()

    class Failing(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            if name_of(task) == "00000":
                failed.set()
                raise OSError(5, "Input/output error")
            super().write(task, result, rows)

    def on_row(place: str) -> None:
        made.append(place)
        if place == "00000/0":
            wait_for(failed)

    summary = run_batch(tasks_in(tmp_path, 2), Failing(on_row=on_row), concurrency=NARROW)
    assert statuses(summary) == "fd"
    # The band that was in the making, and at most one more that was begun before the failure arrived.
    assert len([place for place in made if place.startswith("00000")]) <= 2


def test_a_writer_that_takes_only_part_of_the_rows_is_a_failure(tmp_path: Path) -> None:
    class Lazy(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            next(rows)

    summary = run_batch(tasks_in(tmp_path, 2), Lazy(), concurrency=NARROW)
    assert statuses(summary) == "ff"
    assert "should have 8 rows, got 2" in str(summary.outcomes[0].reason)


def test_a_writer_that_hides_lost_rows_does_not_make_the_picture_done(tmp_path: Path) -> None:
    class Hiding(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            with pytest.raises(RowsLostError):
                list(rows)

    work = Hiding(on_row=raising(EngineError("not finite"), "00000/2"))
    summary = run_batch(tasks_in(tmp_path, 1), work)
    assert [outcome.reason for outcome in summary.outcomes] == ["not finite"]


def test_a_full_disk_stops_the_run_after_three_failures_in_a_row(tmp_path: Path) -> None:
    def on_write(place: str) -> None:
        # One picture that still fits ends the row.
        if not place.startswith("00001"):
            raise no_space()

    summary = run_batch(tasks_in(tmp_path, 40), FakeWork(on_write=on_write), concurrency=NARROW)
    assert statuses(summary).startswith("fdfff")
    # Pictures that were in the engine by then fail likewise; the rest is not tried.
    assert summary.count(Status.FAILED) <= 7
    assert summary.outcomes[-1].reason == "the disk is full"
    assert not summary.interrupted
    assert summary.exit_code == 1
    assert "no space left" in str(summary.outcomes[0].reason)
    assert failure_lines(summary)[-1].endswith("not done: the disk is full; --skip-existing goes on from here")
    assert_whole_or_absent(tmp_path, summary)


@pytest.mark.parametrize("kind", [Started, Progress, Finished])
def test_a_report_that_fails_ends_the_run_with_its_error(tmp_path: Path, kind: type) -> None:
    def report(event: object) -> None:
        if isinstance(event, kind):
            raise BrokenPipeError(32, "Broken pipe")

    work = FakeWork()
    with pytest.raises(BrokenPipeError):
        run_batch(tasks_in(tmp_path, 50), work, concurrency=NARROW, report=report)
    assert len(work.begun) < 50
    assert not list((tmp_path).rglob("*.part"))


def test_folders_of_results_are_made_when_they_are_needed(tmp_path: Path) -> None:
    work = FakeWork(on_read=raising(ImageError("broken"), "00000"))
    run_batch(tasks_in(tmp_path, 1), work)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_fails_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    summary = run_batch(tasks_in(tmp_path, 2), FakeWork(), concurrency=NARROW)
    assert statuses(summary) == "ff"
    assert (tmp_path / "out").is_file()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_goes_wrong_every_picture_has_an_outcome_and_files_are_whole(tmp_path: Path, seed: int) -> None:
    """Random delays, failures and an interruption now and then, in all stages at once."""
    chance = random.Random(seed)
    troubles = [EngineError("e"), OSError(5, "i"), MemoryError(), ValueError("v"), no_space()]
    plans: dict[str, dict[str, BaseException]] = {
        stage: {
            f"{index:05}{band}": chance.choice(troubles)
            for index in range(25)
            for band in (("/0", "/2", "/3") if stage in ("on_row", "on_write") else ("",))
            if chance.random() < 0.06
        }
        for stage in ("on_read", "on_infer", "on_row", "on_write")
    }
    if seed % 3 == 0:
        plans["on_row"][f"{chance.randrange(25):05}/1"] = KeyboardInterrupt()
    delays = {stage: chance.choice([0, 0, 0.001, 0.003]) for stage in plans}

    def hook(stage: str) -> Hook:
        def act(place: str) -> None:
            sleep(delays[stage])
            if place in plans[stage]:
                raise plans[stage][place]

        return act

    work, events = FakeWork(), Events()
    for stage in plans:
        setattr(work, stage, hook(stage))
    concurrency = Concurrency(jobs=chance.randint(1, 4), queue_bytes=chance.choice([1, 2 * BAND_BYTES, 1 << 20]))
    tasks = tasks_in(tmp_path, 25)
    summary = run_batch(tasks, work, concurrency=concurrency, report=events)
    assert [outcome.source for outcome in summary.outcomes] == [task.source.path for task in tasks]
    assert len([event for event in events.all if isinstance(event, Finished)]) == 25
    assert_whole_or_absent(tmp_path, summary)
    assert summary.waits.seconds <= summary.seconds
    # What is begun is closed: the rows of every picture that reached the engine.
    assert len(work.closed) == len(set(work.closed))
