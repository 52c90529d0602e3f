"""Two results under one name, and results under a source's name: found before any work."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from efdn.errors import OutputError
from engines.batch.names import listing, shown
from engines.batch.task import Task

SHOWN = 5

CaseMatters = Callable[[Task], bool]
"""Tells whether the file system of a task's target holds `a` and `A` apart."""


def case_matters(task: Task) -> bool:
    """Whether names that differ in case alone are two files where the target goes, as far as can be told unwritten.

    Known where source and target are on one file system: the source's name in other case is another file, or none.
    """
    path = task.source.path
    swapped = path.with_name(path.name.swapcase())
    try:
        if swapped == path or os.stat(path.parent).st_dev != os.stat(nearest_folder(task.target)).st_dev:  # noqa: PTH116
            return False
        return not (os.path.lexists(swapped) and os.path.samefile(path, swapped))  # noqa: PTH121
    except OSError:
        return False


def nearest_folder(target: Path) -> Path:
    """The folder that a target goes to, or the one that is there already and will hold it."""
    folder = target.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def refuse_collisions(tasks: Sequence[Task], case_matters: CaseMatters = case_matters) -> None:
    """Raises OutputError where several sources map to one file.

    Names that differ only in case or in the form of their accents are one file on many systems, and are refused too,
    unless this one is known to hold them apart.
    """
    groups: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        groups[_folded(task.target)].append(task)
    clashes = [
        clash for group in groups.values() if len(group) > 1 for clash in _really_one(group, case_matters) if clash
    ]
    if not clashes:
        return
    pairs = [
        f"{' and '.join(shown(task.source.path) for task in clash)} to {shown(clash[0].target)}" for clash in clashes
    ]
    raise OutputError(
        f"several pictures would be written to one file: {listing(pairs, SHOWN)}; keep their formats with --ext same, "
        "keep their folders by naming the folder above them with -r, or upscale them in two runs"
    )


def refuse_sources_as_targets(tasks: Sequence[Task], sources: Sequence[Path]) -> None:
    """Raises OutputError where a result would replace a picture that is to be upscaled."""
    read = {_identity(path) for path in sources}
    clashes = [task for task in tasks if task.target.exists() and _identity(task.target) in read]
    if clashes:
        pairs = [f"{shown(task.target)}, the result of {shown(task.source.path)}" for task in clashes]
        raise OutputError(
            f"would replace a picture that is to be upscaled: {listing(pairs, SHOWN)}; "
            "give another --suffix, or another name or folder with -o"
        )


def _really_one(group: Sequence[Task], case_matters: CaseMatters) -> list[list[Task]]:
    """Of tasks whose targets are alike, those whose targets are the same."""
    exact: dict[str, list[Task]] = defaultdict(list)
    for task in group:
        exact[str(task.target)].append(task)
    if len(exact) > 1 and not all(case_matters(task) for task in group):
        return [list(group)]
    return [tasks for tasks in exact.values() if len(tasks) > 1]


def _folded(target: Path) -> str:
    path = os.path.join(os.path.realpath(target.parent), target.name)  # noqa: PTH118
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.normcase(os.path.realpath(path))
