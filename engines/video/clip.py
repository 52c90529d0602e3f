"""Which packets of the copied streams belong to the frames that are wanted."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from engines.video.libav import AvObject


class Clip:
    """Holds copied packets back until it is known whether they fall into the clip.

    Audio begins with the first packet that starts in the clip and ends with the last that does. Subtitles that are
    seen in it are kept and cut to it. Times are moved so that the clip's first frame is at 0.

    Args:
        whole: whether all is wanted: then everything passes as it is.
    """

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._held: deque[AvObject] = deque()
        self._now: Fraction | None = None
        self.begin: Fraction | None = None
        self.end: Fraction | None = None

    def offer(self, packet: AvObject) -> None:
        """Takes a packet of a copied stream."""
        self._held.append(packet)

    def skip(self, time: Fraction) -> None:
        """Passes over a frame before the clip, at `time` in seconds."""
        self._held = deque(packet for packet in self._held if _end(packet) > time)

    def show(self, time: Fraction) -> None:
        """Comes to a frame of the clip, at `time` in seconds."""
        if self.begin is None:
            self.begin = time
        self._now = time

    def close(self, time: Fraction | None) -> None:
        """Comes to the first frame behind the clip, at `time`, or to the end of the file."""
        self.end = time

    def take(self, *, last: bool = False) -> tuple[AvObject, ...]:
        """Packets that are known to belong to the clip.

        Args:
            last: whether nothing more comes.
        """
        if self._whole:
            taken = tuple(self._held)
            self._held.clear()
            return taken
        if self.begin is None or self._now is None:
            return ()
        found, kept = [], deque[AvObject]()
        for packet in self._held:
            if last or self.end is not None or _start(packet) <= self._now:
                found.append(packet)
            else:
                kept.append(packet)
        self._held = kept
        return tuple(moved for packet in found if (moved := self._cut(packet)) is not None)

    def is_past(self, packet: AvObject) -> bool:
        """Whether a packet starts behind the clip."""
        return self.end is not None and _start(packet) >= self.end

    def _cut(self, packet: AvObject) -> AvObject | None:
        begin = self.begin or Fraction(0)
        start, end = _start(packet), _end(packet)
        if self.end is not None and start >= self.end:
            return None
        if packet.stream.type != "subtitle":
            if start < begin:
                return None
            _move(packet, -begin)
            return packet
        if end <= begin and start < begin:
            return None
        start, end = max(start, begin), end if self.end is None else min(end, self.end)
        packet.pts = packet.dts = round((start - begin) / packet.time_base)
        packet.duration = round((end - start) / packet.time_base)
        return packet


def _start(packet: AvObject) -> Fraction:
    return Fraction((packet.pts if packet.pts is not None else packet.dts) * packet.time_base)


def _end(packet: AvObject) -> Fraction:
    return _start(packet) + Fraction((packet.duration or 0) * packet.time_base)


def _move(packet: AvObject, seconds: Fraction) -> None:
    ticks = round(seconds / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
