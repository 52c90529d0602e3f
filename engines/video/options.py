"""What a video is to become, how far it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efdn.errors import ConfigError

HIGHEST_CRF = 63


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How a video is upscaled and encoded.

    Attributes:
        codec: encoder of FFmpeg's; None is libx264 for 8 bits and libx265 for more, in WebM libvpx-vp9 and libsvtav1.
        crf: constant quality, lower is better; None is 16 where the encoder has it.
        preset: the encoder's, between speed and size; None is its default.
        pixel_format: FFmpeg's name; None keeps the source's bits and chroma subsampling.
        frames: first and one past the last frame, counted from 0; None takes all, (A, None) all from A on.
        preview: whether the left half shows bicubic upscaling, for comparison.
        threads: of the decoder, and of the encoder; 0 is as many as they like.
        leave_out: whether streams that the target's container cannot hold are left out, with a warning, rather than
            refused.
    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pixel_format: str | None = None
    frames: tuple[int, int | None] | None = None
    preview: bool = False
    threads: int = 0
    leave_out: bool = False

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= HIGHEST_CRF:
            raise ConfigError(f"crf must be 0 to {HIGHEST_CRF}, got {self.crf}")
        if self.threads < 0:
            raise ConfigError(f"threads must be at least 0, got {self.threads}")
        if self.frames is None:
            return
        first, last = self.frames
        if first < 0 or (last is not None and last <= first):
            shown = f"{first}:{'' if last is None else last}"
            raise ConfigError(f"frames must be A:B with 0 <= A < B, got {shown}")


DEFAULT_OPTIONS = VideoOptions()


@dataclass(frozen=True, kw_only=True)
class VideoProgress:
    """How far the work is.

    Attributes:
        frames_done: upscaled so far.
        frames_total: to upscale, as far as the file tells; an estimate.
        frames_per_second: over the last frames; 0 before the second.
        seconds_left: at that speed, or None where the total or the speed is not known.
        bytes_written: size of the file so far.
    """

    frames_done: int
    frames_total: int | None
    frames_per_second: float
    seconds_left: float | None
    bytes_written: int


@dataclass(frozen=True, kw_only=True)
class VideoSummary:
    """What came of a video.

    Attributes:
        path: of the result; of the part that was done, if it was interrupted; None if there is none.
        frames: upscaled and written.
        frames_lost: of a damaged source, as far as can be told.
        width: of the result, in pixels.
        height: of the result, in pixels.
        seconds: taken in all.
        engine_seconds: of them, in which frames were upscaled.
        bytes_written: size of the result.
        read_s: of work in the thread that decodes.
        write_s: of work in the thread that encodes.
        read_wait_s: in which the calling thread, and with it the engine, waited for a frame.
        queue_wait_s: in which it waited for room in front of the encoder.
        end_wait_s: in which it waited for the last frames to be written.
        interrupted: whether it was ended early by Ctrl-C.
        warnings: what was left out or looks wrong, one sentence each.
    """

    path: Path | None
    frames: int
    frames_lost: int
    width: int
    height: int
    seconds: float
    engine_seconds: float
    bytes_written: int
    read_s: float = 0.0
    write_s: float = 0.0
    read_wait_s: float = 0.0
    queue_wait_s: float = 0.0
    end_wait_s: float = 0.0
    interrupted: bool = False
    warnings: tuple[str, ...] = ()
