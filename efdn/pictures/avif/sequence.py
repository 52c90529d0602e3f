"""The size that an AV1 stream says itself, for which its decoder takes memory whatever the file around it says."""

from __future__ import annotations

from collections.abc import Iterator

from efdn.pictures.avif.boxes import BrokenAvifError

SEQUENCE_HEADER = 1
"""Kind of the unit (OBU) that says it."""


def coded_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Width and height that the sequence headers in a stream allow for; units that are cut off end it.

    Raises:
        BrokenAvifError: a sequence header is cut off.
    """
    at = 0
    while at < len(data):
        head = data[at]
        at += 2 if head & 4 else 1
        size, shift = 0, 0
        while head & 2 and at < len(data) and shift < 56:
            size |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 0x80:
                break
        end = at + size if head & 2 else len(data)
        if head >> 3 & 15 == SEQUENCE_HEADER:
            yield _size(_Bits(data[at:end]))
        at = end


class _Bits:
    """Takes numbers from bytes, bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:512], "big"), 8 * min(len(data), 512)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise BrokenAvifError("its sequence header is cut off")
        return self._value >> self._left & (1 << count) - 1

    def skip_exp_golomb(self) -> None:
        """Passes over a number in AV1's uvlc() code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros if zeros < 32 else 0)


def _size(bits: _Bits) -> tuple[int, int]:
    """Largest width and height; AV1 specification, section 5.5.1."""
    bits.take(4)
    if bits.take(1):  # A still picture's short header.
        bits.take(5)
    else:
        _skip_timing_and_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_timing_and_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            bits.skip_exp_golomb()
        if bits.take(1):
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)
