"""Protocol buffers' text format, as much of it as a model configuration needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, Union


class Symbol(str):
    """A value of an enumeration, which stands without quotation marks."""


Value: TypeAlias = Union[str, int, Sequence[int], "Message"]
"""Text, a number, a list of numbers, or a message within."""


class Message:
    """A message: its fields in order. A field that is there twice is a list of two.

    Args:
        fields: names, as the schema has them, with their values.
    """

    def __init__(self, *fields: tuple[str, Value]) -> None:
        self.fields = fields

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self.lines())

    def lines(self) -> list[str]:
        """The fields, one a line; messages within are indented."""
        result = []
        for name, value in self.fields:
            if isinstance(value, Message):
                inner = [f"  {line}" for line in value.lines()]
                result += [f"{name} {{", *inner, "}"] if inner else [f"{name} {{ }}"]
            else:
                result.append(f"{name}: {_scalar(value)}")
        return result


def _scalar(value: str | int | Sequence[int]) -> str:
    if isinstance(value, bool):  # Which Python counts among numbers.
        return str(value).lower()
    if isinstance(value, (Symbol, int)):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    return "[ " + ", ".join(map(str, value)) + " ]"


def _quoted(text: str) -> str:
    """Between quotation marks, all but plain characters as the octal bytes of their UTF-8."""
    plain = [chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode()]
    return f'"{"".join(plain)}"'
