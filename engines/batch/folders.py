"""Folders and patterns: which files are in them. Links are followed, each real folder is entered once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from efdn.files import reason_of

PICTURES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff"}
    | {".bmp", ".gif", ".avif", ".avifs", ".mpo"}
)  # fmt: skip
VIDEOS = frozenset(
    # Not .ts: in folders that is TypeScript as often as video.
    {
        ".mp4",
        ".mkv",
        ".mov",
        ".webm",
        ".avi",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
        ".vob",
    }
)
"""Endings of names that are looked for in folders, in small letters."""

ANY_FOLDERS = "**"
MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that was found but cannot be taken.

    Attributes:
        path: what it is.
        reason: why, one sentence.
    """

    path: Path
    reason: str


@dataclass(kw_only=True)
class Walker:
    """Looks into folders.

    Attributes:
        recursive: whether folders in folders are entered.
        excluded: real paths of folders that are passed over, unless they are asked for themselves.
        problems: what could not be taken, as it was met.
    """

    recursive: bool
    excluded: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)

    def files(self, root: Path) -> Iterator[Path]:
        """Pictures and videos in a folder, by their endings; those in the real tree before those behind links."""
        for folder in self._below(root) if self.recursive else [root]:
            for name in self._names(folder):
                path = folder / name
                if has_known_ending(path) and self._is_file(path):
                    yield path

    def matches(self, root: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        """Files and folders that fit a pattern.

        Args:
            root: where it starts.
            parts: of the pattern, one for each folder; "**" is any number of folders.
        """
        head, rest = parts[0], parts[1:]
        if head == ANY_FOLDERS:
            for folder in self._below(root):
                yield from self.matches(folder, rest or ("*",))
            return
        for path in self._fitting(root, head):
            if not rest:
                yield path
            elif path.is_dir():
                yield from self.matches(path, rest)

    def _fitting(self, folder: Path, pattern: str) -> list[Path]:
        # A name may hold brackets itself.
        if os.path.lexists(folder / pattern):
            return [folder / pattern]
        if not MAGIC.search(pattern):
            return []
        paths = [folder / name for name in self._names(folder) if fnmatch(name, pattern)]
        return [path for path in paths if os.path.realpath(path) not in self.excluded]

    def _below(self, root: Path) -> Iterator[Path]:
        """The folder itself and all in it, once each; what is reached through links comes last."""
        pending, linked, entered = [root], list[Path](), set[str]()
        while pending or linked:
            folder = pending.pop() if pending else linked.pop(0)
            real = os.path.realpath(folder)
            if real in entered or (real in self.excluded and folder != root):
                continue
            entered.add(real)
            yield folder
            inner = [folder / name for name in self._names(folder, quiet=True)]
            # isdir and islink are False, rather than an error, for a link that leads to itself.
            folders = [path for path in inner if os.path.isdir(path)]  # noqa: PTH112
            linked += [path for path in folders if path.is_symlink()]
            pending += [path for path in reversed(folders) if not path.is_symlink()]

    def _names(self, folder: Path, *, quiet: bool = False) -> list[str]:
        """Names in a folder, sorted, hidden ones left out, temporary files of this toolkit among them."""
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
        except OSError as error:
            if not quiet:
                self.add(folder, f"cannot read the folder {folder}: {reason_of(error)}")
            return []

    def _is_file(self, path: Path) -> bool:
        if os.path.isfile(path):  # noqa: PTH113
            return True
        self.check_link(path)
        return False

    def check_link(self, path: Path) -> bool:
        """Whether there is something; a link that leads nowhere becomes a problem."""
        if os.path.exists(path) or not path.is_symlink():  # noqa: PTH110
            return True
        self.add(path, f"{path} is a symbolic link to {_destination(path)}, which cannot be reached")
        return False

    def add(self, path: Path, reason: str) -> None:
        """Notes a problem."""
        self.problems.append(Problem(path=path, reason=reason))


def has_known_ending(path: Path) -> bool:
    """Whether a name says that the file is a picture or a video."""
    return path.suffix.lower() in PICTURES | VIDEOS


def split_pattern(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """The folder that a pattern starts in, and the parts from its first special character on."""
    parts = Path(pattern).parts
    fixed = 0
    while fixed < len(parts) - 1 and (not MAGIC.search(parts[fixed]) or os.path.lexists(Path(*parts[: fixed + 1]))):
        fixed += 1
    return Path(*parts[:fixed]), parts[fixed:]


def _destination(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115
    except OSError:
        return "nowhere"
