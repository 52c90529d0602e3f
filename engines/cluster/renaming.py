"""Outcomes with the names that the user knows, rather than the absolute ones of workers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
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
        target=None if outcome.target is None else _target(outcome.target, task.target),
        reason=None if outcome.reason is None else _renamed(outcome.reason, words),
        warnings=tuple(_renamed(warning, words) for warning in outcome.warnings),
        extra=extra,
    )


def _target(path: Path, planned: Path) -> Path:
    """The planned name, or another beside it, such as that of a video whose making was interrupted."""
    return planned.with_name(path.name) if path.parent == absolute(planned).parent else path


def _words(task: Task) -> dict[str, str]:
    """What to replace by what: the files, and their folders for names beside them such as those of sheets.

    Names that stay are among them: nothing within them is to be replaced.
    """
    words = {}
    for path in (task.source.path, task.target):
        folder = path.parent
        words[str(absolute(path))] = str(path)
        words[f"{absolute(folder)}{os.sep}"] = "" if folder == Path() else f"{folder}{os.sep}"
    return {printable(long): printable(short) for long, short in words.items()} | words


def _renamed(text: str, words: Mapping[str, str]) -> str:
    """With the longest first, and not within a longer path."""
    longest_first = "|".join(re.escape(long) for long in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<![\w.\-/\\])(?:{longest_first})", lambda found: words[found[0]], text)
