"""Outcomes with the names that the user knows, rather than the absolute ones of workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engines.batch.names import printable
from engines.batch.outcome import Outcome
from engines.batch.task import Task
from engines.cluster.chunks import absolute


def as_named(outcome: Outcome, task: Task) -> Outcome:
    """An outcome as it would be in this process.

    Args:
        outcome: of a worker.
        task: the picture, as it was planned.
    """
    words = _words(task)
    extra = {key: _renamed(value, words) if isinstance(value, str) else value for key, value in outcome.extra.items()}
    return replace(
        outcome,
        source=task.source.path,
        target=None if outcome.target is None else Path(_renamed(str(outcome.target), words)),
        reason=None if outcome.reason is None else _renamed(outcome.reason, words),
        warnings=tuple(_renamed(warning, words) for warning in outcome.warnings),
        extra=extra,
    )


def _words(task: Task) -> list[tuple[str, str]]:
    """What to replace by what: the files, then their folders, for names beside them such as those of sheets."""
    words = []
    for path in (task.source.path, task.target):
        words.append((str(absolute(path)), str(path)))
    for folder in (task.source.path.parent, task.target.parent):
        words.append((f"{absolute(folder)}{os.sep}", "" if folder == Path() else f"{folder}{os.sep}"))
    words += [(printable(long), printable(short)) for long, short in words]
    return [(long, short) for long, short in dict.fromkeys(words) if long != short]


def _renamed(text: str, words: Sequence[tuple[str, str]]) -> str:
    for long, short in words:
        text = text.replace(long, short)
    return text
