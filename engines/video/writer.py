"""Encoding, and putting everything into the target's container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from efdn.errors import OutputError, VideoError
from engines.video import libav
from engines.video.color import RGB, UNSPECIFIED, ColorTags, encoded
from engines.video.conversion import FromRgb, Pixels
from engines.video.libav import AvObject
from engines.video.options import VideoOptions
from engines.video.preview import Preview
from engines.video.reader import Portion
from engines.video.source_facts import VideoFacts
from engines.video.target import VideoPlan
from engines.video.target_file import TargetFile

FRAGMENT_US = 1_000_000
"""Of an MP4 file that can be played while it is written, in microseconds; more than this is not lost by a crash."""

STALE_TAGS = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS_", "ENCODER", "ROTATE", "VENDOR_ID")
"""How the names of a video stream's tags begin that no longer hold."""

CONTAINER_TAGS = ("encoder", "major_brand", "minor_version", "compatible_brands")
"""Tags of a whole file that are written anew."""


class VideoWriter:
    """Writes a video and copies the other streams.

    Args:
        path: file to write.
        facts: of the source.
        plan: how to write it.
        options: threads, and whether to show bicubic beside.
        deep: whether frames are uint16.
    """

    def __init__(self, path: Path, facts: VideoFacts, plan: VideoPlan, options: VideoOptions, *, deep: bool) -> None:
        self._path, self._facts, self._plan, self._options, self._deep = path, facts, plan, options, deep
        self._container: AvObject = None
        self._file: TargetFile | None = None
        self._stream: AvObject = None
        self._copies: dict[int, AvObject] = {}
        self._waiting: list[AvObject] = []
        self._durations: dict[int, int] = {}
        self._to_frame: Callable[[Pixels], AvObject]
        self._preview: Preview | None = None
        self._last: dict[int, Fraction] = {}
        self.frames = self._packets = self._end = self._left_out = 0

    def write(self, portion: Portion, upscaled: Pixels | None) -> None:
        """Adds a portion.

        Args:
            portion: as it was read.
            upscaled: its frame, (s * H, s * W, 3), or None if it has none.

        Raises:
            OutputError: it cannot be encoded or written.
        """
        with self._writing():
            if self._container is None and portion.pixels is not None and upscaled is not None:
                self._open(portion.pixels, upscaled)
            self._waiting += portion.packets
            self._copy_waiting()
            if self._file is not None:
                self._file.check()
            if portion.pixels is not None and upscaled is not None:
                self._encode(portion, self._preview(portion.pixels, upscaled) if self._preview else upscaled)

    def finish(self) -> None:
        """Empties the encoder and completes the file.

        Raises:
            OutputError: it cannot be written.
            VideoError: the encoder swallowed frames.
        """
        if self._container is None:
            return
        with self._writing():
            self._mux(self._closed(self._stream.encode(None)))
            self._copy_waiting()
            self._container.close()
            if self._file is not None:
                self._file.close()
                self._file.check()
        self._container = None
        if self._packets != self.frames:
            raise VideoError(
                f"{self._plan.encoder.name} made {self._packets} frames of {self.frames}: choose another codec"
            )

    def close(self) -> None:
        """Lets go of the file, complete or not."""
        for opened in (self._container, self._file):
            if opened is not None:
                with suppress(Exception):
                    opened.close()
        self._container = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (libav.ffmpeg_error(), OSError) as error:
            raise OutputError(f"cannot write {self._plan.target}: {libav.one_line(error)}") from error

    def _open(self, pixels: Pixels, upscaled: Pixels) -> None:
        height, width = upscaled.shape[:2]
        color = encoded(self._facts.color, rgb_target=self._plan.rgb)
        self._file = TargetFile(self._path, "wb")
        with libav.open_source(self._facts.path) as source:
            raw_aac = any(libav.is_raw_aac(source.streams[index]) for index in self._plan.copied)
            options = self._container_options(source.metadata, fragments=not raw_aac)
            self._container = libav.open_target(self._file, self._plan.format_name, options)
            self._add_streams(source, width, height, color)
            self._describe(source)
        kind = {"width": width, "height": height, "deep": self._deep}
        self._to_frame = FromRgb(color, pixel_format=self._plan.pixel_format, **kind)
        if self._options.preview:
            small_height, small_width = pixels.shape[:2]
            self._preview = Preview(
                width=small_width, height=small_height, target_width=width, target_height=height, deep=self._deep
            )
        self._container.start_encoding()

    def _container_options(self, metadata: Mapping[str, str], *, fragments: bool) -> dict[str, str]:
        """Options of the container.

        Args:
            metadata: of the source.
            fragments: whether MP4 may be written in fragments; FFmpeg cannot turn raw AAC into MP4's form then.
        """
        # Every packet goes to the disk at once, so that little is lost if the computer is switched off.
        options = {"flush_packets": "1"}
        if self._plan.format_name in ("mp4", "mov"):
            ticks = str(self._facts.time_base.denominator)
            if fragments:
                hybrid = "+hybrid_fragmented" if libav.fragments_mp4_whole() else ""
                options |= {"movflags": f"delay_moov+frag_keyframe{hybrid}", "frag_duration": str(FRAGMENT_US)}
            if any(key.startswith("com.") for key in metadata):
                # Only so does FFmpeg write tags such as com.apple.quicktime.model.
                options["movflags"] = f"{options.get('movflags', '')}+use_metadata_tags"
            # Times of the source are kept as they are, where a frame starts late too.
            options |= {"video_track_timescale": ticks, "movie_timescale": ticks}
        else:
            options["cluster_time_limit"] = str(FRAGMENT_US // 1000)
        return options

    def _add_streams(self, source: AvObject, width: int, height: int, color: ColorTags) -> None:
        """In the source's order: players count them."""
        for template in source.streams:
            if template.index == self._facts.index:
                self._stream = self._video_stream(template, width, height, color)
            elif template.index in self._plan.copied:
                self._copies[template.index] = libav.copied_stream(self._container, template)

    def _video_stream(self, template: AvObject, width: int, height: int, color: ColorTags) -> AvObject:
        rate = self._facts.rate or Fraction(25)
        stream = self._container.add_stream(
            self._plan.encoder.name, rate=rate, options=self._plan.encoder_options | _color_options(color)
        )
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, self._plan.pixel_format
        stream.time_base = context.time_base = self._facts.time_base
        context.thread_count = self._options.threads
        if self._facts.pixel_aspect:
            context.sample_aspect_ratio = self._facts.pixel_aspect
        if self._plan.encoder.name in ("libx265", "hevc_nvenc") and self._plan.format_name != "matroska":
            context.codec_tag = "hvc1"  # Apple's players take no other.
        kept = {key: value for key, value in template.metadata.items() if not key.upper().startswith(STALE_TAGS)}
        stream.metadata.update(kept)
        libav.set_disposition(stream, template)
        return stream

    def _describe(self, source: AvObject) -> None:
        kept = {key: value for key, value in source.metadata.items() if key not in CONTAINER_TAGS}
        self._container.metadata.update(kept)
        if self._options.frames is None:
            libav.copy_chapters(self._container, source)

    def _encode(self, portion: Portion, pixels: Pixels) -> None:
        frame = self._to_frame(pixels)
        frame.pts, frame.time_base = portion.pts, self._facts.time_base
        self._durations[portion.pts] = portion.duration
        self._end = portion.pts + portion.duration
        self._mux(self._stream.encode(frame))
        self.frames += 1

    def _closed(self, packets: list[AvObject]) -> list[AvObject]:
        """The encoder's last packets, the last of which lasts until the video ends.

        FFmpeg takes that for the end of the edit list, although a frame shown later may come before it.
        """
        if packets and packets[-1].pts is not None and self._plan.format_name in ("mp4", "mov"):
            self._durations[packets[-1].pts] = self._end - packets[-1].pts
        return packets

    def _copy_waiting(self) -> None:
        if self._container is None:
            return
        for packet in self._waiting:
            if packet.dts is None:
                packet.dts = packet.pts
            # The reader may have closed its file by now, and its streams with it: only the number is safe.
            stream = self._copies[packet.stream_index]
            if stream.type == "attachment":
                continue
            if packet.dts is None or self._goes_back(packet, stream):
                self._left_out += 1
                continue
            packet.stream = stream
            try:
                self._container.mux_one(packet)
            except libav.load().InvalidDataError:  # Damaged in the source already.
                self._left_out += 1
        self._waiting = []

    def _goes_back(self, packet: AvObject, stream: AvObject) -> bool:
        """Whether a packet's time does not come after the last of its stream: containers refuse it."""
        time, last = packet.dts * packet.time_base, self._last.get(stream.index)
        strict = stream.type == "audio" and self._plan.format_name in ("mp4", "mov")
        if last is not None and (time < last or (strict and time == last)):
            return True
        self._last[stream.index] = time
        return False

    def warnings(self) -> Iterator[str]:
        """What could not be written, one sentence each."""
        if self._left_out:
            yield f"{self._left_out} packets of other streams are left out: they are damaged, or their times go back"

    def _mux(self, packets: list[AvObject]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)  # Encoders may change times.
            self._packets += 1
            self._container.mux_one(packet)


def _color_options(color: ColorTags) -> dict[str, str]:
    tags: dict[str, Any] = {"color_primaries": color.primaries, "color_trc": color.transfer}
    if color.matrix != RGB:
        tags |= {"colorspace": color.matrix, "color_range": color.range}
    return {key: str(value) for key, value in tags.items() if value != UNSPECIFIED or key == "color_range"}
