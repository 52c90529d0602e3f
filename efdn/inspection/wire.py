"""The protobuf wire format, as far as reading a few fields of a large message needs it.

A message is a run of fields, each a key (number and wire type) and a value. Values
that are messages, texts or packed numbers come with their length, so what is not
asked for is skipped, not read.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from efdn.inspection.details import Content, MalformedError

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
FIXED_BYTES = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
MOST_VARINT_BYTES = 10

Span = tuple[int, int]


class Message:
    """One message. Its own fields are told apart on construction, those inside them when asked for.

    Args:
        content: what it lies in.
        start: its first byte.
        stop: the byte after its last.

    Raises:
        MalformedError: these bytes are no message, or it is cut off.
    """

    def __init__(self, content: Content, start: int, stop: int) -> None:
        self._content = content
        self._numbers: dict[int, list[int]] = defaultdict(list)
        self._spans: dict[int, list[Span]] = defaultdict(list)
        position = start
        while position < stop:
            key, position = _varint(content, position, stop)
            field, wire = key >> 3, key & 7
            if wire == VARINT:
                value, position = _varint(content, position, stop)
                self._numbers[field].append(value)
                continue
            if wire == LENGTH:
                length, position = _varint(content, position, stop)
                self._spans[field].append((position, position + length))
            elif wire in FIXED_BYTES:
                length = FIXED_BYTES[wire]
            else:
                raise MalformedError(f"no field can begin at byte {position:,}")
            position += length
            if position > stop:
                raise MalformedError(f"a field of {length:,} bytes goes {position - stop:,} bytes past the end")

    def numbers(self, field: int) -> list[int]:
        """All values of a repeated int64 field, packed or not."""
        values = list(self._numbers[field])
        for position, stop in self._spans[field]:
            while position < stop:
                value, position = _varint(self._content, position, stop)
                values.append(value)
        return [value - (1 << 64) if value >> 63 else value for value in values]

    def number(self, field: int) -> int:
        """The value of an int64 field, 0 where it is not set."""
        return (self.numbers(field) or [0])[-1]

    def texts(self, field: int) -> list[str]:
        """All values of a repeated string field."""
        return [str(self._content[start:stop], "utf-8", "replace") for start, stop in self._spans[field]]

    def text(self, field: int) -> str:
        """The value of a string field, "" where it is not set."""
        return (self.texts(field) or [""])[-1]

    def messages(self, field: int) -> Iterator[Message]:
        """All values of a field of messages."""
        return (Message(self._content, start, stop) for start, stop in self._spans[field])

    def has(self, field: int) -> bool:
        """Whether a field is set."""
        return bool(self._numbers[field] or self._spans[field])


def _varint(content: Content, position: int, stop: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and the position after it."""
    value = 0
    for index in range(min(MOST_VARINT_BYTES, stop - position)):
        byte = content[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedError(f"the number at byte {position:,} has no end")
