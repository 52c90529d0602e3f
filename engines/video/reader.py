"""Decoding: frames in order, with the packets of other streams between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from efdn.errors import VideoError
from engines.video import libav
from engines.video.clip import Clip
from engines.video.clock import Clock
from engines.video.conversion import Pixels, ToRgb
from engines.video.libav import AvObject
from engines.video.options import VideoOptions
from engines.video.source_facts import VideoFacts


@dataclass(frozen=True, kw_only=True)
class Portion:
    """A frame, and what comes before it in other streams.

    Attributes:
        pixels: (H, W, 3), upright; None behind the last frame.
        pts: when it is shown, in the video's time base.
        duration: how long, in the video's time base; where it is not told, as long as frames are on average.
        packets: of copied streams, to be written before it.
    """

    pixels: Pixels | None = field(repr=False)
    pts: int = 0
    duration: int = 1
    packets: tuple[AvObject, ...] = field(default=(), repr=False)


class VideoReader:
    """Decodes a video.

    Args:
        facts: of the video.
        options: which frames, and threads.
        copied: indices of the streams whose packets are wanted.
        deep: whether to give uint16.
    """

    def __init__(self, facts: VideoFacts, options: VideoOptions, copied: tuple[int, ...], *, deep: bool) -> None:
        self._facts, self._options, self._copied = facts, options, copied
        self._first, self._last = options.frames or (0, None)
        self._clip = Clip(whole=options.frames is None)
        size = {"width": facts.stored_width, "height": facts.stored_height}
        self._to_rgb = ToRgb(facts.color, **size, deep=deep)
        self._packets = self._broken = self._seen = self._moved = self._patched = 0
        self._clock = Clock(facts.container)
        self._resized = False
        self._previous: int | None = None
        self._ended_early = ""

    @property
    def seen(self) -> int:
        """How many frames were decoded."""
        return self._seen

    def portions(self, path: Path) -> Iterator[Portion]:
        """The wanted frames, in the order in which they are shown, and one portion without a frame behind them.

        A portion without a frame comes for each that is passed over, too: whoever wants no more can tell then.

        Raises:
            VideoError: the file cannot be opened, or a frame not be converted.
        """
        try:
            with libav.open_source(path) as container:
                video = container.streams[self._facts.index]
                video.codec_context.thread_count = self._options.threads
                video.codec_context.thread_type = "AUTO"
                streams = [video, *(container.streams[index] for index in self._copied)]
                for frame in self._frames(container, video, streams):
                    yield Portion(pixels=None) if frame is None else self._portion(frame)
                yield Portion(pixels=None, packets=self._clip.take(last=True))
        except libav.ffmpeg_error() as error:
            raise VideoError(f"cannot read {path} ({libav.one_line(error)}): get a whole copy") from error

    def _frames(self, container: AvObject, video: AvObject, streams: list[AvObject]) -> Iterator[AvObject | None]:
        """Frames of the clip, and None for others; packets of other streams go to it on the way."""
        waiting = {stream.index for stream in streams if stream.type == "audio"}
        for packet in self._demuxed(container, streams):
            if packet is None or packet.stream.index == video.index:
                if self._clip.end is not None:
                    continue
                for frame in self._decoded(video, packet):
                    yield frame if self._place(frame) else None
            else:
                self._clip.offer(packet)
                if self._clip.is_past(packet):
                    waiting.discard(packet.stream.index)
            if self._clip.end is not None and not waiting:
                return

    def _demuxed(self, container: AvObject, streams: list[AvObject]) -> Iterator[AvObject | None]:
        """Packets, and None where the decoder is to be emptied; a damaged file ends where it cannot be read on."""
        try:
            for packet in container.demux(streams):
                if packet.dts is None and packet.pts is None and not packet.size:
                    continue
                self._clock.follow(packet)
                yield packet
        except libav.ffmpeg_error() as error:
            self._ended_early = libav.one_line(error)
        yield None

    def _decoded(self, video: AvObject, packet: AvObject | None) -> Iterator[AvObject]:
        if packet is not None:
            self._packets += 1
        try:
            yield from video.codec_context.decode(packet)
        except libav.ffmpeg_error():
            self._broken += packet is not None

    def _place(self, frame: AvObject) -> bool:
        """Whether a frame is wanted; numbers it and tells the clip of it."""
        number, self._seen = self._seen, self._seen + 1
        self._set_time(frame)
        time = frame.pts * self._facts.time_base
        if number < self._first:
            self._clip.skip(time)
            return False
        if self._last is not None and number >= self._last:
            if self._clip.end is None:
                self._clip.close(time)
            return False
        self._clip.show(time)
        self._patched += bool(frame.is_corrupt)
        return True

    def _set_time(self, frame: AvObject) -> None:
        """Frames without a time, or with one that does not come after the last, follow it at once."""
        previous, self._previous = self._previous, frame.pts
        if frame.pts is None:
            frame.pts = 0 if previous is None else previous + self._duration(frame)
        elif previous is not None and frame.pts <= previous:
            frame.pts = previous + 1
            self._moved += 1
        self._previous = frame.pts

    def _portion(self, frame: AvObject) -> Portion:
        if (frame.width, frame.height) != (self._facts.stored_width, self._facts.stored_height):
            self._resized = True
        begin = self._clip.begin
        offset = 0 if begin is None or self._options.frames is None else round(begin / self._facts.time_base)
        return Portion(
            pixels=self._facts.turn.apply(self._to_rgb(frame)),
            pts=frame.pts - offset,
            duration=self._duration(frame),
            packets=self._clip.take(),
        )

    def _duration(self, frame: AvObject) -> int:
        """Without one, the last frame would have none in MP4 and not be seen."""
        told = getattr(frame, "duration", 0)
        return int(told) if told else max(1, round(1 / ((self._facts.rate or 25) * self._facts.time_base)))

    @property
    def frames_lost(self) -> int:
        """Frames that could not be decoded, or are missing at the end, as far as can be told."""
        if self._clip.end is not None:
            return self._broken
        return self._broken + self._missing()

    def _missing(self) -> int:
        """Frames that the file announced and that did not come."""
        facts = self._facts
        if facts.frames_listed:
            # Told by packets: edits hide frames, but not these.
            return max(0, (facts.frames or 0) - self._packets)
        if facts.end_s is None or not facts.rate or self._previous is None:
            return 0
        missing = (facts.end_s - float(self._previous * facts.time_base)) * float(facts.rate) - 1
        # The last frame's length is not told exactly.
        return round(missing) if missing > 2 else 0

    def warnings(self) -> Iterator[str]:
        """What went wrong on the way, one sentence each."""
        if self.frames_lost or self._ended_early:
            reason = f" ({self._ended_early})" if self._ended_early else ""
            about = "" if self._facts.frames_listed else "about "
            yield f"the video is damaged or cut off{reason}: {about}{self.frames_lost} frames are lost"
        if self._patched:
            yield f"{self._patched} frames are damaged and were patched up by the decoder"
        if self._clock.jumps:
            yield f"the recording's clock starts anew {self._clock.jumps} times: times go on from there"
        if self._moved:
            yield f"{self._moved} frames had times that do not come after the frame before: they follow it at once"
        if self._resized:
            yield "the video's frames change their size: all were brought to the size of the first"
