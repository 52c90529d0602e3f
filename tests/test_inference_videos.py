"""Videos one after another: each has an outcome, whatever happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("av")

from efdn.errors import EngineError
from engines.batch.outcome import Outcome, Status
from engines.batch.sources import Source
from engines.batch.summary import Summary, failure_lines
from engines.batch.targets import EARLIER_RESULT, Existing, plan_targets
from engines.batch.task import Task
from engines.batch.work import Event, Finished, Progress, Started
from engines.inference.videos import upscale_videos
from engines.inference.wanted import Wanted
from engines.video.reader import VideoReader
from tests.inference_samples import Array, FakeEngine
from tests.video_samples import QUICK, moving, read_clip, write_clip

WANTED = Wanted(video=QUICK)
SIGNALS = [
    pytest.param(number, marks=pytest.mark.skipif(os.name == "nt", reason="no signals to oneself"))
    for number in (signal.SIGINT, signal.SIGTERM)
]


def tasks_in(folder: Path, count: int = 3) -> list[Task]:
    """Clips of 12 frames, and where their results go: a folder that is not there yet."""
    paths = [write_clip(folder / f"{at}.mp4") for at in range(count)]
    return [
        Task(source=Source(path=path, relative=Path(path.name)), target=folder / "out" / f"{path.stem}_x2.mkv")
        for path in paths
    ]


class Recorder:
    """Keeps events, and acts on them."""

    def __init__(self, act: Callable[[Event], None] = lambda event: None) -> None:
        self.act, self.all = act, list[Event]()

    def __call__(self, event: Event) -> None:
        self.all.append(event)
        self.act(event)

    def finished(self) -> list[Outcome]:
        """Outcomes that were told."""
        return [event.outcome for event in self.all if isinstance(event, Finished)]


def run(tasks: list[Task], events: Recorder, engine: FakeEngine | None = None) -> Summary:
    """All tasks, each of which must have an outcome that was told."""
    summary = upscale_videos(tasks, engine or FakeEngine(2), WANTED, events, 0, len(tasks))
    assert events.finished() == list(summary.outcomes)
    assert [outcome.source for outcome in summary.outcomes] == [task.source.path for task in tasks]
    assert not [path for task in tasks for path in task.target.parent.glob(".efdn-*")]
    return summary


def statuses(summary: Summary) -> list[str]:
    return [outcome.status.value for outcome in summary.outcomes]


@pytest.mark.parametrize("error", [KeyError("oops"), EngineError("no device"), OSError("no room"), MemoryError()])
def test_whatever_fails_in_a_video_the_next_is_done(tmp_path: Path, error: Exception) -> None:
    engine = FakeEngine(2)

    def broken(y: Array) -> Array:
        if len(engine.sides) == 3:
            raise error
        return y

    engine.corrupt = broken
    summary = run(tasks_in(tmp_path, 2), Recorder(), engine)
    assert statuses(summary) == ["failed", "done"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1_x2.mkv"]
    failed = summary.outcomes[0]
    foreseen = not isinstance(error, KeyError)
    assert (failed.traceback is None) == foreseen
    assert failed.reason
    assert foreseen or "KeyError: 'oops'" in (failed.traceback or "")
    assert 0 < failed.stages.infer_s < summary.seconds


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_within_a_video_keep_what_is_done_of_it(tmp_path: Path, number: signal.Signals) -> None:
    handler = signal.getsignal(number)

    def act(event: Event) -> None:
        if isinstance(event, Progress) and event.index == 1 and event.detail.startswith("frame 5/"):
            signal.raise_signal(number)

    summary = run(tasks_in(tmp_path), Recorder(act))
    assert statuses(summary) == ["done", "cancelled", "cancelled"]
    assert summary.interrupted
    assert summary.exit_code == 130
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0_x2.mkv", "1_x2.partial.mkv"]
    assert len(read_clip(tmp_path / "out" / "1_x2.partial.mkv").times) == 5
    assert signal.getsignal(number) == handler


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_interrupt_the_engine_itself(tmp_path: Path, number: signal.Signals) -> None:
    engine = FakeEngine(2)

    def stop(y: Array) -> Array:
        if len(engine.sides) == 3:
            signal.raise_signal(number)
            pytest.fail("the signal should have interrupted the engine")
        return y

    engine.corrupt = stop
    summary = run(tasks_in(tmp_path, 2), Recorder(), engine)
    assert statuses(summary) == ["cancelled", "cancelled"]
    assert len(read_clip(tmp_path / "out" / "0_x2.partial.mkv").times) == 2


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("kind", [Started, Finished])
def test_signals_between_videos_lose_no_outcome(tmp_path: Path, number: signal.Signals, kind: type) -> None:
    def act(event: Event) -> None:
        if isinstance(event, kind):
            signal.raise_signal(number)

    summary = run(tasks_in(tmp_path), Recorder(act))
    first = "done" if kind is Finished else "cancelled"
    assert statuses(summary) == [first, "cancelled", "cancelled"]
    assert summary.interrupted


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_end_the_way_to_the_first_frame_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    (task,) = tasks_in(tmp_path, 1)
    write_clip(task.source.path, pts=range(0, 512 * 200, 512), frames=moving(200))
    decoded: list[object] = []
    place = VideoReader._place

    def counting(reader: VideoReader, frame: object) -> bool:
        decoded.append(frame)
        return place(reader, frame)

    monkeypatch.setattr(VideoReader, "_place", counting)
    events = Recorder(lambda event: signal.raise_signal(number) if isinstance(event, Started) else None)
    wanted = Wanted(video=replace(QUICK, frames=(190, None)))
    summary = upscale_videos([task], FakeEngine(2), wanted, events, 0, 1)
    assert statuses(summary) == ["cancelled"]
    assert len(decoded) < 150


@pytest.mark.parametrize("kind", [Started, Progress, Finished])
def test_ctrl_c_out_of_the_report_loses_no_outcome(tmp_path: Path, kind: type) -> None:
    """As handlers of others raise it."""

    def act(event: Event) -> None:
        if isinstance(event, kind):
            raise KeyboardInterrupt

    summary = run(tasks_in(tmp_path), Recorder(act))
    assert statuses(summary) == ["done" if kind is Finished else "cancelled", "cancelled", "cancelled"]


@pytest.mark.parametrize("kind", [Started, Progress, Finished])
def test_a_report_that_fails_ends_the_run_with_its_error(tmp_path: Path, kind: type) -> None:
    def act(event: Event) -> None:
        if isinstance(event, kind):
            raise BrokenPipeError("nobody listens")

    events = Recorder(act)
    with pytest.raises(BrokenPipeError, match="nobody listens"):
        run(tasks_in(tmp_path, 2), events)
    assert len([event for event in events.all if isinstance(event, Started)]) == 1


def test_what_goes_on_from_here_is_only_said_of_what_does(tmp_path: Path) -> None:
    def act(event: Event) -> None:
        if isinstance(event, Progress) and event.detail.startswith("frame 5/"):
            raise KeyboardInterrupt

    summary = run(tasks_in(tmp_path), Recorder(act))
    part = tmp_path / "out" / "0_x2.partial.mkv"
    assert failure_lines(summary) == (
        f"1 not done: interrupted; the first 5 frames are in {part}, and a further run begins anew",
        "2 not done: interrupted; --skip-existing goes on from here",
    )


def test_waits_and_work_of_all_videos_are_counted(tmp_path: Path) -> None:
    summary = run(tasks_in(tmp_path, 2), Recorder())
    assert min(vars(summary.waits).values()) >= 0
    assert 0 < summary.waits.seconds < summary.seconds
    assert 0 < summary.idle_share < 1
    for outcome in summary.outcomes:
        assert min(vars(outcome.stages).values()) > 0
    assert summary.stages.infer_s + summary.waits.seconds <= summary.seconds


def test_what_interrupted_runs_kept_is_not_upscaled_again(tmp_path: Path) -> None:
    names = ["a.mp4", "a_x2.mp4", "a_x2.partial.mp4", "a_x2.partial-2.mp4", "a_x2.partial-13.mp4", "a.partial-b.mp4"]
    sources = [Source(path=tmp_path / name, relative=Path(name)) for name in names]
    done = plan_targets(sources, output=None, suffix="_x2", ending=".mp4", existing=Existing.SKIP)
    assert [task.source.path.name for task in done.tasks] == ["a.mp4", "a.partial-b.mp4"]
    assert {outcome.reason for outcome in done.outcomes} == {EARLIER_RESULT}
    assert {outcome.status for outcome in done.outcomes} == {Status.SKIPPED}
