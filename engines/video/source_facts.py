"""What is known of a video before it is upscaled."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from engines.video.color import ColorTags
from engines.video.hdr import NO_HDR, HdrMetadata
from engines.video.turn import UPRIGHT, Turn


@dataclass(frozen=True, kw_only=True)
class StreamFacts:
    """A stream besides the one that is upscaled.

    Attributes:
        index: in the file.
        kind: "audio", "subtitle", "attachment", "data", "video", or "cover" for a single picture.
        codec: FFmpeg's name, or "unknown".
        language: such as "eng", if told.
    """

    index: int
    kind: str
    codec: str
    language: str | None = None

    def __str__(self) -> str:
        language = f", {self.language}" if self.language else ""
        return f"stream {self.index} ({self.kind}, {self.codec}{language})"


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """A video as its file and its first frame tell.

    Attributes:
        path: of the file.
        container: FFmpeg's name.
        codec: of the video stream, FFmpeg's name.
        index: of that stream in the file.
        time_base: of that stream, in seconds.
        stored_width: of a frame as it is stored, in pixels.
        stored_height: of a frame as it is stored, in pixels.
        turn: from stored frames to what is seen.
        pixel_aspect: width over height of a pixel as it is seen, or None if not told.
        rate: mean frames a second, or None if not told.
        frames: how many there are, or None if not told.
        frames_listed: whether the file lists them, rather than that they follow from its length and rate.
        duration_s: in seconds, or None if not told.
        end_s: when the last frame ends, in seconds, or None if the file does not say it of this stream.
        pixel_format: FFmpeg's name.
        bits: of a sample.
        chroma: subsampling, such as "420", or "gray".
        color: with what the file does not say filled in.
        hdr: static metadata.
        interlaced: whether frames are made of two fields.
        others: the other streams.
        warnings: what will be lost or is treated otherwise, one sentence each.
    """

    path: Path
    container: str
    codec: str
    index: int
    time_base: Fraction
    stored_width: int
    stored_height: int
    turn: Turn = UPRIGHT
    pixel_aspect: Fraction | None = None
    rate: Fraction | None = None
    frames: int | None = None
    frames_listed: bool = False
    duration_s: float | None = None
    end_s: float | None = None
    pixel_format: str
    bits: int
    chroma: str
    color: ColorTags
    hdr: HdrMetadata = NO_HDR
    interlaced: bool = False
    others: tuple[StreamFacts, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """In pixels, as it is seen."""
        return self.stored_height if self.turn.transpose else self.stored_width

    @property
    def height(self) -> int:
        """In pixels, as it is seen."""
        return self.stored_width if self.turn.transpose else self.stored_height

    def __str__(self) -> str:
        rate = f", {float(self.rate):.5g} frames/s" if self.rate else ""
        return f"{self.width}x{self.height} {self.codec}, {self.pixel_format}{rate}"
