"""Texts that people paste into bug reports."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ANY_HOME = re.compile(
    r"(?:(?<![\w.-])(?:/mnt/\w)?/(?:home|Users)/|[A-Z]:[\\/]{1,2}Users[\\/]{1,2})[^\\/\s'\":,;)]+", re.IGNORECASE
)
"""The home of anybody, on Linux, macOS and Windows."""

ENVIRONMENT, SOURCE = "<environment>", "<source>"
ROOT = Path(__file__).parents[2]


def private(text: str) -> str:
    """A text in one line without homes, user names in them, the Python environment's folder and control characters."""
    environment = Path(sys.prefix) if sys.prefix != sys.base_prefix else None
    for folder, name in ((environment, ENVIRONMENT), (ROOT, SOURCE), (_home(), "~")):
        text = _without(text, folder, name)
    line = " ".join(ANY_HOME.sub("~", text).split())
    return "".join(character if character.isprintable() else "?" for character in line)


def short_path(path: Path) -> str:
    """A folder as it may be shown: the user's home as "~", and nothing else left out."""
    return ANY_HOME.sub("~", _without(str(path), _home(), "~"))


def _without(text: str, folder: Path | None, name: str) -> str:
    """A text with a folder's path, and what Windows makes of it, replaced."""
    if folder is None or len(folder.parts) < 2:  # "/" is the home of some accounts, and part of every path.
        return text
    for path in {str(folder), folder.as_posix(), str(folder).replace("\\", "\\\\")}:
        text = re.sub(re.escape(path) + r"(?![\w.-])", lambda match: name, text)
    return text


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # An account without one.
        return None
