"""Videos through an engine, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from efdn.pictures.picture import Pixels
from engines.batch.failures import explain
from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.task import Task
from engines.batch.work import Finished, Progress, Report, Started
from engines.inference.picture_work import one_array
from engines.inference.wanted import Wanted
from engines.protocol import Engine
from engines.tiling.samples import check_depth
from engines.tiling.upscaling import upscaled_rows
from engines.video.options import VideoProgress, VideoSummary
from engines.video.upscaling import upscale_video


def run_videos(
    tasks: Sequence[Task], engine: Engine, wanted: Wanted, report: Report, first: int, count: int
) -> tuple[tuple[Outcome, ...], bool]:
    """Upscales videos; one that fails does not stop the rest.

    Args:
        tasks: the videos.
        engine: an open engine.
        wanted: of the results.
        report: takes what happens.
        first: index of the first task among all.
        count: of all tasks.

    Returns:
        An outcome for each, and whether Ctrl-C ended the run.
    """
    outcomes: list[Outcome] = []
    interrupted = False
    for index, task in enumerate(tasks, start=first):
        if interrupted:
            outcome = _cancelled(task)
        else:
            report(Started(task=task, index=index, count=count))
            outcome, interrupted = _one(task, index, engine, wanted, report)
        outcomes.append(outcome)
        report(Finished(outcome=outcome))
    return tuple(outcomes), interrupted


def _one(task: Task, index: int, engine: Engine, wanted: Wanted, report: Report) -> tuple[Outcome, bool]:
    def upscale_frame(pixels: Pixels) -> Pixels:
        check_depth(engine, str(pixels.dtype))
        return one_array(upscaled_rows(engine, pixels, wanted.enlarging.tiling))

    def tell(progress: VideoProgress) -> None:
        share = progress.frames_done / progress.frames_total if progress.frames_total else 0.0
        report(Progress(task=task, index=index, share=min(1.0, share), detail=_speed(progress)))

    began = perf_counter()
    try:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        summary = upscale_video(task.source.path, task.target, upscale_frame, wanted.video, tell)
    except KeyboardInterrupt:
        return _cancelled(task), True
    except Exception as error:
        stages, why = Stages(infer_s=perf_counter() - began), explain(error)
        return Outcome(
            source=task.source.path,
            target=task.target,
            status=Status.FAILED,
            reason=why.reason,
            stages=stages,
            traceback=why.traceback,
        ), False
    return _outcome(task, summary), summary.interrupted


def _outcome(task: Task, summary: VideoSummary) -> Outcome:
    kept = f"; the first {summary.frames} frames are in {summary.path}" if summary.path else ""
    return Outcome(
        source=task.source.path,
        target=summary.path if summary.interrupted and summary.path else task.target,
        status=Status.CANCELLED if summary.interrupted else Status.DONE,
        reason=f"interrupted{kept}" if summary.interrupted else None,
        stages=Stages(infer_s=summary.engine_seconds, write_s=max(0.0, summary.seconds - summary.engine_seconds)),
        width=summary.width or None,
        height=summary.height or None,
        warnings=summary.warnings,
        extra={"frames": summary.frames, "frames_lost": summary.frames_lost},
    )


def _cancelled(task: Task) -> Outcome:
    return Outcome(source=task.source.path, target=task.target, status=Status.CANCELLED, reason="interrupted")


def _speed(progress: VideoProgress) -> str:
    total = f"/{progress.frames_total}" if progress.frames_total else ""
    left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
    return f"frame {progress.frames_done}{total}, {progress.frames_per_second:.2f} frames/s{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
