"""From video to video, frame by frame."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from efdn.errors import OutputError, VideoError
from efdn.files import check_target, part_beside, reason_of
from engines.video.conversion import Pixels
from engines.video.facts import probe_video
from engines.video.options import DEFAULT_OPTIONS, VideoOptions, VideoProgress, VideoSummary
from engines.video.pipeline import PipelineTimes, run_pipeline
from engines.video.reader import VideoReader
from engines.video.source_facts import VideoFacts
from engines.video.target import VideoPlan, check_size, check_video_target, partial_path, size_warning
from engines.video.writer import VideoWriter

UpscaleFrame = Callable[[Pixels], Pixels]
"""From (H, W, 3) uint8 or uint16, RGB, to (s * H, s * W, 3) of the same type."""

SPEED_FRAMES = 20
"""Over how many frames the speed is measured."""


def upscale_video(
    source: Path,
    target: Path,
    upscale_frame: UpscaleFrame,
    options: VideoOptions = DEFAULT_OPTIONS,
    report: Callable[[VideoProgress], None] = lambda progress: None,
    check: Callable[[], None] = lambda: None,
) -> VideoSummary:
    """Upscales a video and keeps what else is in its file.

    The result is written beside `target` under another name, which players can open meanwhile, and takes its place
    at the end; an older `target` stays untouched until then. Ctrl-C ends the work early: what is done is completed
    and kept as `<stem>.partial<ending>` beside `target`, or `<stem>.partial-2<ending>` and so on where there is one.

    Args:
        source: video to read.
        target: file to write; see `check_video_target`. One that exists is replaced.
        upscale_frame: called in this thread, with one frame after the other: uint16 if the source or the result
            has more than 8 bits, else uint8. All results must have one size.
        options: how.
        report: called in this thread after every frame.
        check: called in this thread between frames and while it waits for one. May raise KeyboardInterrupt, which
            ends the work as Ctrl-C does.

    Raises:
        MissingExtraError: PyAV is not installed.
        VideoError: the source cannot be read or has no frame that is wanted; see also `check_video_target`.
        OutputError: the result cannot be written.
        Exception: what `upscale_frame` raises; nothing is left behind then.
    """
    started = time.perf_counter()
    facts = probe_video(source)
    plan = check_video_target(facts, target, options)
    deep = facts.bits > 8 or plan.bits > 8
    reader = VideoReader(facts, options, plan.copied, deep=deep)
    times = PipelineTimes()
    with _beside(target) as temporary:
        writer = VideoWriter(temporary, facts, plan, options, deep=deep)
        frames = _Frames(upscale_frame, plan, _Meter(facts, options, temporary, report))
        interrupted = run_pipeline(reader.portions(source), frames, writer, times, check)
        if not writer.frames and not interrupted:
            raise VideoError(_nothing(source, reader, options))
        kept = _keep(temporary, target, interrupted=interrupted) if writer.frames else None
    return VideoSummary(
        path=kept,
        frames=writer.frames,
        frames_lost=0 if interrupted else reader.frames_lost,
        width=frames.width,
        height=frames.height,
        seconds=time.perf_counter() - started,
        engine_seconds=frames.seconds,
        bytes_written=kept.stat().st_size if kept else 0,
        **vars(times),
        interrupted=interrupted,
        warnings=(*plan.warnings, *frames.warnings, *writer.warnings(), *(() if interrupted else reader.warnings())),
    )


class _Frames:
    """Upscales frames, and sees to it that all have the size and type they should."""

    def __init__(self, upscale_frame: UpscaleFrame, plan: VideoPlan, meter: _Meter) -> None:
        self._upscale, self._plan, self._meter = upscale_frame, plan, meter
        self.width = self.height = 0
        self.seconds = 0.0
        self.warnings: list[str] = []

    def __call__(self, pixels: Pixels) -> Pixels:
        started = time.perf_counter()
        upscaled = self._upscale(pixels)
        self.seconds += time.perf_counter() - started
        self._check(pixels, upscaled)
        self._meter.count()
        return upscaled

    def _check(self, pixels: Pixels, upscaled: Pixels) -> None:
        if not self.width:
            self.height, self.width = upscaled.shape[:2]
            check_size(self._plan, self.width, self.height)
            said = size_warning(self._plan, self.width, self.height)
            self.warnings += [said] if said else []
        expected = (self.height, self.width, 3)
        if upscaled.shape != expected or upscaled.dtype != pixels.dtype:
            raise VideoError(
                f"expected upscaled frames of {expected} {pixels.dtype}, got {upscaled.shape} {upscaled.dtype}: "
                "all frames of a video must have one size and type"
            )


class _Meter:
    """Reports progress."""

    def __init__(
        self, facts: VideoFacts, options: VideoOptions, path: Path, report: Callable[[VideoProgress], None]
    ) -> None:
        self._total = wanted_frames(facts, options)
        self._path, self._report = path, report
        self._done = 0
        self._times: deque[float] = deque(maxlen=SPEED_FRAMES + 1)

    def count(self) -> None:
        """One more frame is done."""
        self._done += 1
        self._times.append(time.perf_counter())
        speed = 0.0
        if len(self._times) > 1:
            speed = (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)
        left = None if self._total is None or not speed else max(0, self._total - self._done) / speed
        size = 0
        with suppress(OSError):
            size = self._path.stat().st_size
        self._report(
            VideoProgress(
                frames_done=self._done,
                frames_total=self._total,
                frames_per_second=speed,
                seconds_left=left,
                bytes_written=size,
            )
        )


def wanted_frames(facts: VideoFacts, options: VideoOptions) -> int | None:
    """How many frames are to be upscaled, as far as the file tells."""
    first, last = options.frames or (0, None)
    if facts.frames is None:
        return None if last is None else last - first
    return max(0, min(facts.frames, facts.frames if last is None else last) - first)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` with the same ending, by which players know the container."""
    final = check_target(target)
    temporary = part_beside(final, target.suffix)
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _keep(temporary: Path, target: Path, *, interrupted: bool) -> Path:
    kept = partial_path(target) if interrupted else target
    try:
        temporary.replace(check_target(kept))
    except OSError as error:
        raise OutputError(f"cannot write {kept}: {reason_of(error)}") from error
    return kept


def _nothing(source: Path, reader: VideoReader, options: VideoOptions) -> str:
    if options.frames is not None and reader.seen:
        return f"{source} has {reader.seen} frames, none from {options.frames[0]} on: choose others with --frames"
    return f"{source}: no frame of it can be decoded: get a whole copy"
