"""Names of files that come from clients, and go back to them."""

from __future__ import annotations

import re
from urllib.parse import quote

LONGEST_STEM = 120
RESERVED = re.compile(r'[<>:"/\\|?*%;]')
"""What Windows refuses in names, and what headers give a meaning to."""

NAMELESS = "the picture"
"""What a picture is called in messages which came without a name."""

DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Names that stand for devices on Windows, whatever their ending."""


def safe_stem(name: str) -> str:
    """The last part of a name without its ending, fit for any file system; "picture" where nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    # Characters that are not printable include those that turn the direction of writing.
    shown = "".join(character for character in last if character.isprintable())
    stem = shown.rpartition(".")[0] if "." in shown.lstrip(".") else shown
    stem = RESERVED.sub("_", stem).strip(" .")[:LONGEST_STEM].rstrip(" .")
    # Windows knows devices by what stands before the first point.
    return "picture" if not stem or DEVICES.fullmatch(stem.split(".")[0].rstrip()) else stem


def safe_name(name: str) -> str:
    """Likewise, but with its ending: what a picture is called in messages."""
    last = re.split(r"[/\\]", name)[-1].strip()
    shown = "".join(character for character in last if character.isprintable())
    return shown[:LONGEST_STEM] or NAMELESS


def content_disposition(name: str) -> str:
    """Has browsers save the answer under a name (RFC 6266): in ASCII for old ones, in UTF-8 for the others.

    Args:
        name: as `safe_stem` leaves it, with suffix and ending.
    """
    plain = "".join(character if character.isascii() else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
