"""Errors of one picture as a sentence."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

from efdn.errors import EfdnError
from efdn.files import reason_of

NO_SPACE = frozenset(number for name in ("ENOSPC", "EDQUOT") if (number := getattr(errno, name, None)) is not None)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why something failed.

    Attributes:
        reason: one line.
        traceback: of errors that nobody foresaw; None for the others.
        disk_full: whether it was for want of space.
    """

    reason: str
    traceback: str | None = None
    disk_full: bool = False


def explain(error: BaseException) -> Explanation:
    """What to say of an error."""
    full = any(isinstance(link, OSError) and link.errno in NO_SPACE for link in _chain(error))
    if isinstance(error, EfdnError):
        return Explanation(reason=_one_line(str(error)), disk_full=full)
    if isinstance(error, MemoryError):
        return Explanation(reason="out of memory: try fewer --jobs, or a smaller picture")
    if isinstance(error, OSError):
        place = "" if error.filename is None else f"{error.filename}: "
        return Explanation(reason=_one_line(f"{place}{reason_of(error)}"), disk_full=full)
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Explanation(reason=_one_line(f"{type(error).__name__}: {error}"), traceback=trace, disk_full=full)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those behind it."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _one_line(text: str) -> str:
    return " ".join(text.split())
