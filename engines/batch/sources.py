"""The pictures that a command line names: files, folders, patterns and lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from efdn.errors import ImageError, UsageError
from engines.batch.folders import MAGIC, PICTURES, VIDEOS, Walker, has_known_ending, split_pattern
from engines.batch.names import listing, printable
from engines.batch.outcome import Outcome, Status

LIST = "-"
"""Argument that stands for a list of paths on standard input."""

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Source:
    """A picture or video to upscale.

    Attributes:
        path: where it is.
        relative: its path within what was named: the folder given, the fixed part of a pattern, the working folder
            for files of a list (the name alone if outside of it). The name alone for a file that was named itself.
        named: whether it was named itself.
    """

    path: Path
    relative: Path
    named: bool = False

    @property
    def video(self) -> bool:
        """Whether its name says that it is a video."""
        return self.path.suffix.lower() in VIDEOS


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a command line names.

    Attributes:
        found: each file once; in the order of arguments, sorted within each.
        outcomes: failures already: links that lead nowhere, folders that cannot be read, names of nothing.
    """

    found: tuple[Source, ...]
    outcomes: tuple[Outcome, ...] = ()


def find_sources(
    arguments: Sequence[str],
    *,
    recursive: bool = False,
    stdin: TextIO | None = None,
    exclude: Iterable[Path] = (),
) -> Sources:
    """Finds pictures and videos.

    Files that are named are taken whatever their ending, those in folders by it. Hidden files are passed over.

    Args:
        arguments: files; folders; patterns with `*`, `?`, `[...]` and `**`, for shells that leave them to programs;
            "-" for a list of files and folders on standard input, one a line, or ended by NUL characters.
        recursive: enter folders in folders.
        stdin: where lists come from.
        exclude: folders not to look into, such as that of the results. Naming one outright still counts.

    Raises:
        ImageError: nothing was found.
        UsageError: a list is asked for twice, or without standard input.
    """
    walker = Walker(recursive=recursive, excluded=frozenset(os.path.realpath(path) for path in exclude))
    if arguments.count(LIST) > 1:
        raise UsageError("'-' stands for the list on standard input and can be given once, got it twice")
    sources: list[Source] = []
    outcomes: list[Outcome] = []
    for argument in arguments:
        sources += _sorted(_from_list(walker, stdin) if argument == LIST else _from_argument(walker, argument))
        outcomes += [
            Outcome(source=problem.path, status=Status.FAILED, reason=problem.reason) for problem in walker.problems
        ]
        walker.problems.clear()
    if not sources:
        _raise_nothing_found(arguments, outcomes, recursive)
    return Sources(found=_each_once(sources), outcomes=tuple(outcomes))


def _from_argument(walker: Walker, argument: str) -> Iterator[Source]:
    if MAGIC.search(argument) and not os.path.lexists(argument):
        return _from_pattern(walker, argument)
    return _from_path(walker, Path(argument))


def _from_path(walker: Walker, path: Path) -> Iterator[Source]:
    if path.is_dir():
        yield from _from_folder(walker, path, path)
    elif not os.path.lexists(path):
        walker.add(path, f"no file or folder {path}: expected a picture, or a folder of pictures")
    elif walker.check_link(path):
        yield Source(path=path, relative=Path(path.name), named=True)


def _from_folder(walker: Walker, folder: Path, root: Path) -> Iterator[Source]:
    for path in walker.files(folder):
        yield Source(path=path, relative=path.relative_to(root))


def _from_pattern(walker: Walker, pattern: str) -> Iterator[Source]:
    root, parts = split_pattern(pattern)
    # "*.dat" names files by their ending, "*" does not mean the notes beside the pictures.
    ending = Path(parts[-1]).suffix
    any_ending = bool(ending) and not MAGIC.search(ending)
    nothing = True
    for path in walker.matches(root, parts):
        nothing = False
        if path.is_dir():
            yield from _from_folder(walker, path, root)
        elif (any_ending or has_known_ending(path)) and walker.check_link(path):
            relative = path.relative_to(root)
            yield Source(path=path, relative=Path(path.name) if ".." in relative.parts else relative)
    if nothing:
        walker.add(Path(pattern), f"no file fits {pattern}: expected the pattern of a picture's name")


def _from_list(walker: Walker, stdin: TextIO | None) -> Iterator[Source]:
    if stdin is None:
        raise UsageError("'-' stands for a list on standard input, which is closed: name files or folders")
    paths = _paths(stdin)
    if not paths:
        raise ImageError("the list on standard input is empty: expected files or folders, one a line")
    for path in paths:
        for source in _from_path(walker, Path(path)):
            yield replace(source, relative=_as_written(source.path), named=False) if source.named else source


def _as_written(path: Path) -> Path:
    """A file's path as a list has it, so that its place does not depend on what else is listed.

    The name alone where it lies outside the working folder.
    """
    inside = Path(os.path.relpath(path)) if not path.is_absolute() else path
    return Path(path.name) if inside.is_absolute() or ".." in inside.parts else inside


def _paths(stdin: TextIO) -> list[str]:
    """What a list names. Names need not be text, so that bytes are read where there are bytes."""
    binary = getattr(stdin, "buffer", None)
    if binary is None:
        content = stdin.read()
    elif os.name == "nt":
        content = binary.read().decode(stdin.encoding or "utf-8", "surrogateescape")
    else:
        content = os.fsdecode(binary.read())
    content = content.removeprefix("\ufeff")
    if "\0" in content:
        return [path for path in content.split("\0") if path]
    return [path for line in content.split("\n") if (path := line.removesuffix("\r"))]


def _sorted(sources: Iterable[Source]) -> list[Source]:
    """By name, files behind links where their names put them."""
    return sorted(sources, key=lambda source: source.relative.parts)


def _each_once(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Each file under its first name, and rather under its own than under a link's."""
    chosen: dict[str, int] = {}
    places = sorted(range(len(sources)), key=lambda place: _through_link(sources[place].path))
    for place in places:
        chosen.setdefault(os.path.realpath(sources[place].path), place)
    return tuple(sources[place] for place in sorted(chosen.values()))


def _through_link(path: Path) -> bool:
    folder = os.path.realpath(path.parent)
    return path.is_symlink() or os.path.normcase(folder) != os.path.normcase(os.path.abspath(path.parent))  # noqa: PTH100


def _raise_nothing_found(arguments: Sequence[str], outcomes: Sequence[Outcome], recursive: bool) -> None:
    if not arguments:
        raise UsageError("expected pictures, folders, patterns or '-' for a list of them, got none")
    if len(outcomes) > 1:
        return
    if outcomes and outcomes[0].reason:
        raise ImageError(outcomes[0].reason)
    remedy = "" if recursive else "; -r searches the folders in them too"
    raise ImageError(
        f"no pictures in {listing([printable(argument) for argument in arguments], SHOWN)}: "
        f"expected names ending in {', '.join(sorted(PICTURES | VIDEOS))}{remedy}"
    )
