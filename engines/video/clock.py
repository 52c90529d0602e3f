"""Times that go on where a recording's clock starts anew."""

from __future__ import annotations

from fractions import Fraction

from engines.video.libav import AvObject

CLOCKED = ("mpegts", "mpeg")
"""Containers, by FFmpeg's names, whose clock may jump: recordings are cut and joined without care for it."""

BACK_S, AHEAD_S, NEAR_S = Fraction(1, 10), 10, 1
"""A jump back or ahead by more is taken for a new clock; within the last, a stream follows another's."""


class Clock:
    """Moves the times of packets so that each stream goes on after a jump.

    Args:
        format_name: FFmpeg's name of the container.
    """

    def __init__(self, format_name: str) -> None:
        self._jumps = format_name in CLOCKED
        self._ends: dict[int, Fraction] = {}
        self._offsets = [Fraction(0)]
        self._current: dict[int, Fraction] = {}

    @property
    def jumps(self) -> int:
        """How many new clocks there were."""
        return len(self._offsets) - 1

    def follow(self, packet: AvObject) -> None:
        """Moves a packet's times, if its clock was started anew."""
        if not self._jumps or packet.dts is None:
            return
        stream, time = packet.stream_index, packet.dts * packet.time_base
        end = self._ends.get(stream)
        offset = self._current.get(stream, Fraction(0))
        if end is not None and not -BACK_S <= time + offset - end <= AHEAD_S:
            # Streams of one recording jump by the same: otherwise sound would drift from the picture.
            known = (known for known in reversed(self._offsets) if -BACK_S <= time + known - end <= NEAR_S)
            offset = next(known, end - time)
            if offset not in self._offsets:
                self._offsets.append(offset)
        self._current[stream] = offset
        self._ends[stream] = time + offset + (packet.duration or 0) * packet.time_base
        if offset:
            ticks = round(offset / packet.time_base)
            packet.dts += ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
