"""File names as people and JSON can take them: a name need not be text, and may hold line breaks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FIRST_ESCAPED, LAST_ESCAPED = "\udc80", "\udcff"
"""How Python writes bytes of a name that are no UTF-8."""


def printable(text: str) -> str:
    """Text for one line of a terminal: what cannot be shown is escaped, as bytes that are no UTF-8."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def shown(path: Path) -> str:
    """A path for messages."""
    return printable(str(path))


def listing(names: Sequence[str], most: int) -> str:
    """The first names, and how many there are besides."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def json_name(key: str, path: Path | None) -> dict[str, str | None]:
    """A path as an entry of a JSON object.

    Returns:
        The name under `key`. Where it is not Unicode it is escaped, and its bytes stand beside it in hexadecimal.
    """
    if path is None:
        return {key: None}
    name = str(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return {key: printable(name), f"{key}_bytes": os.fsencode(path).hex()}
    return {key: name}


def _escaped(character: str) -> str:
    if FIRST_ESCAPED <= character <= LAST_ESCAPED:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
