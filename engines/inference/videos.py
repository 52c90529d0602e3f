"""Videos through an engine, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from efdn.pictures.picture import Color, Picture, Pixels
from engines.batch.failures import explain
from engines.batch.interruption import Interruption, interruption
from engines.batch.ledger import STOPPED
from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.summary import BEGINS_ANEW, Summary, Waits
from engines.batch.task import Task
from engines.batch.work import Event, Finished, Progress, Report, Started
from engines.inference.picture_work import one_array
from engines.inference.wanted import Wanted
from engines.pictures.enlarge import enlarge
from engines.pictures.options import EnlargeOptions
from engines.protocol import Engine
from engines.video.options import VideoProgress, VideoSummary
from engines.video.upscaling import upscale_video


def upscale_videos(
    tasks: Sequence[Task], engine: Engine, wanted: Wanted, report: Report, first: int, count: int
) -> Summary:
    """Upscales videos; one that fails does not stop the rest.

    Ctrl-C and SIGTERM end the run between two frames, or within one: what is done of its video is kept.

    Args:
        tasks: the videos.
        engine: an open engine.
        wanted: of the results.
        report: takes what happens; what it raises ends the run.
        first: index of the first task among all.
        count: of all tasks.

    Returns:
        An outcome for each, none missing, also after Ctrl-C.
    """
    began, outcomes, waits = perf_counter(), list[Outcome](), Waits()
    with interruption() as wish:
        tell = _teller(report, wish)
        try:
            for index, task in enumerate(tasks, start=first):
                outcome, waited = _left(task, Stages()), Waits()
                if not wish.asked:
                    tell(Started(task=task, index=index, count=count))
                    outcome, waited = _one(task, index, _Frames(engine, wanted, wish), wanted, tell)
                outcomes.append(outcome)
                waits += waited
                tell(Finished(outcome=outcome))
        except _ReportError as failed:
            raise failed.error from None
    return Summary(outcomes=tuple(outcomes), seconds=perf_counter() - began, interrupted=wish.asked, waits=waits)


class _Frames:
    """The engine on one frame after the other; only here Ctrl-C may interrupt anywhere.

    Attributes:
        wish: whether somebody asked for the end.
        infer_s: seconds spent so far.
    """

    def __init__(self, engine: Engine, wanted: Wanted, wish: Interruption) -> None:
        # Of what is wanted of pictures, their size alone concerns frames, and how they are cut.
        self._options = EnlargeOptions(tiling=wanted.enlarging.tiling, size=wanted.enlarging.size)
        self._engine, self.wish = engine, wish
        self.infer_s = 0.0

    def __call__(self, pixels: Pixels) -> Pixels:
        began = perf_counter()
        try:
            with self.wish.at_once():
                frame = Picture(pixels=pixels, color=Color.RGB)
                return one_array(enlarge(self._engine, frame, self._options).rows)
        finally:
            self.infer_s += perf_counter() - began


def _one(
    task: Task, index: int, frames: _Frames, wanted: Wanted, tell: Callable[[Event], None]
) -> tuple[Outcome, Waits]:
    def progress(done: VideoProgress) -> None:
        share = done.frames_done / done.frames_total if done.frames_total else 0.0
        tell(Progress(task=task, index=index, share=min(1.0, share), detail=_speed(done)))

    try:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        summary = upscale_video(task.source.path, task.target, frames, wanted.video, progress, frames.wish.check)
    except KeyboardInterrupt:
        frames.wish.asked = True
        return _left(task, Stages(infer_s=frames.infer_s)), Waits()
    except Exception as error:
        return _failed(task, error, Stages(infer_s=frames.infer_s)), Waits()
    frames.wish.asked |= summary.interrupted
    waits = Waits(read_s=summary.read_wait_s, queue_s=summary.queue_wait_s, end_s=summary.end_wait_s)
    return _outcome(task, summary), waits


def _outcome(task: Task, summary: VideoSummary) -> Outcome:
    stages = Stages(read_s=summary.read_s, infer_s=summary.engine_seconds, write_s=summary.write_s)
    if summary.interrupted and summary.path is None:
        return _left(task, stages)
    kept = f"{STOPPED}; the first {summary.frames} frames are in {summary.path}, and {BEGINS_ANEW}"
    return Outcome(
        source=task.source.path,
        target=summary.path if summary.interrupted else task.target,
        status=Status.CANCELLED if summary.interrupted else Status.DONE,
        reason=kept if summary.interrupted else None,
        stages=stages,
        width=summary.width or None,
        height=summary.height or None,
        warnings=summary.warnings,
        extra={"frames": summary.frames, "frames_lost": summary.frames_lost},
    )


def _left(task: Task, stages: Stages) -> Outcome:
    """Of a video that there is nothing of."""
    return Outcome(source=task.source.path, target=task.target, status=Status.CANCELLED, reason=STOPPED, stages=stages)


def _failed(task: Task, error: Exception, stages: Stages) -> Outcome:
    why = explain(error)
    return Outcome(
        source=task.source.path,
        target=task.target,
        status=Status.FAILED,
        reason=why.reason,
        stages=stages,
        traceback=why.traceback,
    )


class _ReportError(BaseException):
    """Whoever is told what happens has failed; no failure of a video, and not to be caught as one."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _teller(report: Report, wish: Interruption) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        try:
            report(event)
        except KeyboardInterrupt:
            wish.asked = True
        except Exception as error:
            raise _ReportError(error) from error

    return tell


def _speed(progress: VideoProgress) -> str:
    total = f"/{progress.frames_total}" if progress.frames_total else ""
    left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
    return f"frame {progress.frames_done}{total}, {progress.frames_per_second:.2f} frames/s{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
