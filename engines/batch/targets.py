"""Where the results go, and everything about it that can be refused before any work."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from efdn.errors import EfdnError, OutputError, UsageError
from efdn.files import check_target
from engines.batch.collisions import SHOWN, nearest_folder, refuse_collisions, refuse_sources_as_targets
from engines.batch.failures import explain
from engines.batch.folders import has_known_ending
from engines.batch.names import listing, shown
from engines.batch.outcome import Outcome, Status
from engines.batch.sources import Source
from engines.batch.task import Task

Ending = str | Callable[[Source], str | None] | None
"""Of results' names: one for all, decided for each source, or None for the source's own."""

SAME_ENDINGS = {".jpeg": ".jpg", ".jpe": ".jpg", ".tiff": ".tif", ".apng": ".png", ".avifs": ".avif"}
COMPARED = "_compare"
"""What names of sheets that stand beside results end in."""

PARTIAL = re.compile(r"\.partial(-\d+)?\Z")
"""What names of videos end in whose making was interrupted, once or more often."""

SIZED = re.compile(r"_(x\d+(\.\d+)?|\d+x\d*|x\d+|\d+(\.\d+)?pct)$")
"""Suffixes that name a scale or a size."""

EXISTS, EARLIER_RESULT = "its result exists", "result of an earlier run"


class Existing(str, Enum):
    """What becomes of results that are there already."""

    REFUSE = "refuse"
    SKIP = "skip"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done.

    Attributes:
        tasks: in the order of sources.
        outcomes: of sources that no work is due for: skipped, or failed where no ending could be decided.
    """

    tasks: tuple[Task, ...]
    outcomes: tuple[Outcome, ...] = ()


def plan_targets(
    sources: Sequence[Source],
    *,
    output: Path | None,
    suffix: str,
    ending: Ending,
    existing: Existing = Existing.REFUSE,
) -> Plan:
    """Gives every source a target, and refuses what would go wrong. Nothing is written.

    The target's name is the source's stem, the suffix and the ending; its folder that of the source, or in `output`
    the one that the source has in what was named. Beside their sources, results of earlier runs are left alone.

    Args:
        sources: as found.
        output: a folder, or a file where there is one source that was named itself; None is beside each source.
        suffix: between stem and ending, may be empty.
        ending: with or without its dot. A callable may raise EfdnError or OSError, which fails its source.
        existing: what becomes of results that are there.

    Raises:
        UsageError: `output` is a file for several sources, or does not go with `ending`; `suffix` is no part of a name.
        OutputError: two results under one name, a result under a source's name, results that exist, or folders that
            cannot be written.
    """
    if any(character in suffix for character in "/\\\0"):
        raise UsageError(f"--suffix must be part of a file's name, got {suffix!r}: choose the folder with -o")
    file = _output_file(sources, output, ending)
    fresh, outcomes = _without_earlier_results(sources, suffix, existing)
    tasks: list[Task] = []
    for source in fresh:
        try:
            tasks.append(Task(source=source, target=file or _target(source, output, suffix, ending)))
        except (EfdnError, OSError) as error:
            outcomes.append(Outcome(source=source.path, status=Status.FAILED, reason=explain(error).reason))
    refuse_collisions(tasks)
    refuse_sources_as_targets(tasks, [source.path for source in fresh])
    _check_folders(tasks)
    tasks, skipped = _without_existing(tasks, existing)
    return Plan(tasks=tuple(tasks), outcomes=(*outcomes, *skipped))


def _output_file(sources: Sequence[Source], output: Path | None, ending: Ending) -> Path | None:
    """`output` where it is a file rather than a folder."""
    if output is None or output.is_dir():
        return None
    if len(sources) == 1 and sources[0].named:
        if not output.suffix and not output.exists():
            return None
        if isinstance(ending, str) and _plain(output.suffix) != _plain(_dotted(ending)):
            raise UsageError(f"-o {output} and --ext {ending} contradict each other: give one of them")
        return output
    if output.exists() or has_known_ending(output):
        raise UsageError(
            f"-o {output} is a file's name, but there may be several pictures ({len(sources)} now): give a folder"
        )
    return None


def _target(source: Source, output: Path | None, suffix: str, ending: Ending) -> Path:
    folder = source.path.parent if output is None else output / source.relative.parent
    chosen = ending(source) if callable(ending) else ending
    return folder / f"{source.path.stem}{suffix}{source.path.suffix if chosen is None else _dotted(chosen)}"


def _without_earlier_results(
    sources: Sequence[Source], suffix: str, existing: Existing
) -> tuple[list[Source], list[Outcome]]:
    """Takes out results of earlier runs that lie beside the pictures they were made of.

    Found in a folder, that is `a_x4.png`, `a_x2.webp` or `a_1920x.png` where `a.png` or `a.jpg` is a source too,
    and sheets and parts of videos named after them. A file that was named itself is taken for one only if its suffix is
    that of this run, and not if results are to be replaced: that is refused later, rather than done without a word.
    """
    stems = {(_real_folder(source.path.parent), source.path.stem) for source in sources}
    fresh: list[Source] = []
    outcomes: list[Outcome] = []
    for source in sources:
        stem = PARTIAL.sub("", source.path.stem.removesuffix(COMPARED))
        origins = {stem.removesuffix(suffix)}
        if source.named:
            origins = set() if existing is Existing.OVERWRITE else origins
        else:
            origins |= {SIZED.sub("", stem)}
        folder = _real_folder(source.path.parent)
        if any(origin != source.path.stem and (folder, origin) in stems for origin in origins):
            outcomes.append(Outcome(source=source.path, status=Status.SKIPPED, reason=EARLIER_RESULT))
        else:
            fresh.append(source)
    return fresh, outcomes


def _check_folders(tasks: Sequence[Task]) -> None:
    """Raises OutputError unless every target's folder can be written, or made."""
    for task in {task.target.parent: task for task in tasks}.values():
        folder = nearest_folder(task.target)
        if folder == task.target.parent:
            check_target(task.target)
        elif not folder.is_dir():
            raise OutputError(f"cannot make the folder {shown(task.target.parent)}: {shown(folder)} is not a folder")
        elif not os.access(folder, os.W_OK):
            raise OutputError(
                f"cannot make the folder {shown(task.target.parent)}: no permission to write in {shown(folder)}; "
                "choose another with -o"
            )
    for task in tasks:
        if task.target.is_dir():
            check_target(task.target)


def _without_existing(tasks: Sequence[Task], existing: Existing) -> tuple[list[Task], list[Outcome]]:
    there = [task for task in tasks if os.path.lexists(task.target)]
    if existing is Existing.OVERWRITE or not there:
        return list(tasks), []
    if existing is Existing.REFUSE:
        names = listing([shown(task.target) for task in there], SHOWN)
        counted = f"{len(there)} of {len(tasks)} results exist ({names})" if len(tasks) > 1 else f"{names} exists"
        raise OutputError(
            f"{counted}: give --skip-existing to leave {'them' if len(tasks) > 1 else 'it'} and do the rest, "
            "--overwrite to replace what is there, or another name or folder with -o"
        )
    left = {id(task) for task in there}
    skipped = [
        Outcome(source=task.source.path, target=task.target, status=Status.SKIPPED, reason=EXISTS) for task in there
    ]
    return [task for task in tasks if id(task) not in left], skipped


def _real_folder(folder: Path) -> str:
    return os.path.normcase(os.path.realpath(folder))


def _dotted(ending: str) -> str:
    return f".{ending.removeprefix('.')}"


def _plain(ending: str) -> str:
    return SAME_ENDINGS.get(ending.lower(), ending.lower())
