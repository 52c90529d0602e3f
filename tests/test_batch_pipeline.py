"""Pictures through three stages at once: overlap, failures, interruptions, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from efdn.errors import ConfigError, EngineError, ImageError
from engines.batch.channel import RowChannel, RowsLostError
from engines.batch.interruption import Interruption, interruption, patiently
from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.pipeline import run_batch
from engines.batch.summary import Summary, Waits, failure_lines, summary_line
from engines.batch.task import Task
from engines.batch.work import Concurrency, Finished, Progress, Result, Started
from tests.batch_samples import (
    BAND_BYTES,
    BANDS,
    HEIGHT,
    WIDTH,
    Events,
    FakeWork,
    Hook,
    content,
    name_of,
    no_space,
    raising,
    tasks_in,
    wait_for,
)

NARROW = Concurrency(jobs=1, queue_bytes=1)
"""One thread a stage, and room for one band between them."""


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def statuses(summary: Summary) -> str:
    """One letter for each outcome."""
    return "".join(outcome.status.value[0] for outcome in summary.outcomes)


def assert_whole_or_absent(folder: Path, summary: Summary) -> None:
    """Every result that is done is there whole, and nothing else is."""
    done = {outcome.target for outcome in summary.outcomes if outcome.status is Status.DONE}
    there = set((folder / "out").iterdir()) if (folder / "out").exists() else set()
    assert there == done
    assert all(path.read_bytes() == content() for path in there)


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


def test_a_writer_may_stop_at_the_last_row_without_asking_for_more(tmp_path: Path) -> None:
    class Counting(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            for _ in range(BANDS):
                next(rows)

    assert statuses(run_batch(tasks_in(tmp_path, 20), Counting(), concurrency=NARROW)) == "d" * 20


def test_a_writer_that_hides_lost_rows_does_not_make_the_picture_done(tmp_path: Path) -> None:
    class Hiding(FakeWork):
        def write(self, task: Task, result: Result, rows: Iterator[np.ndarray]) -> None:
            with pytest.raises(RowsLostError):
                list(rows)

    work = Hiding(on_row=raising(EngineError("not finite"), "00000/2"))
    summary = run_batch(tasks_in(tmp_path, 1), work)
    assert [outcome.reason for outcome in summary.outcomes] == ["not finite"]


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


def test_a_channel_takes_a_band_of_any_size_but_not_two() -> None:
    channel = RowChannel(most_bytes=10)
    band = np.zeros((5, 100, 3), np.uint8)
    assert channel.put(band, 0)
    assert not channel.put(band, 0.01)
    assert next(channel) is band
    assert channel.put(band, 0)
    channel.end()
    assert list(channel) == [band]
    assert channel.taken == 10


def test_a_channel_that_failed_gives_no_more_rows() -> None:
    channel = RowChannel(most_bytes=1000)
    channel.put(np.zeros((1, 1, 3), np.uint8), 0)
    channel.end(EngineError("lost"))
    channel.end()
    with pytest.raises(RowsLostError) as caught:
        next(channel)
    assert isinstance(caught.value.__cause__, EngineError)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"jobs": 0}, {"queue_bytes": 0}):
        with pytest.raises(ConfigError, match="at least 1, got 0"):
            Concurrency(**wrong)


def test_a_summary_counts_and_says_it_in_a_line() -> None:
    done = Outcome(source=Path("a"), status=Status.DONE, stages=Stages(read_s=1, infer_s=8, write_s=2))
    failed = Outcome(source=Path("b"), status=Status.FAILED, reason="b is broken")
    skipped = Outcome(source=Path("c"), status=Status.SKIPPED, reason="its result exists")
    summary = Summary(outcomes=(done, failed, skipped, done), seconds=20, waits=Waits(read_s=1, queue_s=2, end_s=1))
    assert summary_line(summary) == "2 upscaled, 1 skipped, 1 failed in 20.0 s (engine idle 20%)"
    assert failure_lines(summary) == ("b is broken",)
    assert summary.overhead_share == pytest.approx(20 / 16 - 1)
    text = json.loads(json.dumps(summary.to_json()))
    assert (text["done"], text["failed"], text["idle_share"], text["infer_s"]) == (2, 1, 0.2, 16)
    many = Summary(outcomes=(failed,) * 500, seconds=1)
    assert len(failure_lines(many)) == 500


def test_outcomes_of_names_that_are_no_text_can_be_shown_and_sent(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n.png") if os.name != "nt" else "caf\n.png"
    outcome = Outcome(source=Path(name), target=Path("é.png"), status=Status.FAILED, reason=f"{name} is broken")
    line = json.dumps(outcome.to_json(), ensure_ascii=False)
    line.encode("utf-8")
    assert json.loads(line)["target"] == "é.png"
    (shown,) = failure_lines(Summary(outcomes=(outcome,), seconds=1))
    shown.encode("utf-8")
    if os.name != "nt":
        assert json.loads(line)["source_bytes"] == b"caf\xe9\n.png".hex()
        assert shown == r"caf\xe9\n.png is broken"


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
