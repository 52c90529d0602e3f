"""Where pictures come from: folders, tar shards, lists of paths and single files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from efdn.errors import ImageError
from efdn.files import reason_of
from efdn.training.archives import ARCHIVE_ENDINGS, Unpacked, list_archive

PICTURE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
LIST_ENDING = ".txt"
EXPECTED = f"a folder, a tar shard, a {LIST_ENDING} list of paths or a picture ({', '.join(PICTURE_ENDINGS)})"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The bytes of one picture file; nothing is known of the picture yet.

    Attributes:
        name: for people: the path, and inside a tar shard the member's name behind it.
        path: the file on disk.
        offset: of the first byte, in bytes.
        size_bytes: of the picture; None for the whole file.
        unpacked: what `offset` counts in where it is not the file itself.
    """

    name: str
    path: Path
    offset: int = 0
    size_bytes: int | None = None
    unpacked: Unpacked | None = None

    def read(self) -> bytes:
        """The picture file's bytes; may be called from several threads at once.

        Raises:
            ImageError: they cannot be read, or not all of them.
        """
        try:
            content = self._content()
        except OSError as error:
            raise ImageError(f"cannot read {self.name}: {reason_of(error)}") from error
        if self.size_bytes is not None and len(content) != self.size_bytes:
            raise ImageError(
                f"cannot read {self.name}: {len(content)} of {self.size_bytes} bytes are there; "
                f"{self.path} was cut short since it was listed"
            )
        return content

    def identity(self) -> str:
        """Differs where the content may: real path, place in it, and time of the last change.

        Raises:
            ImageError: the file is gone.
        """
        try:
            changed = self.path.stat().st_mtime_ns
        except OSError as error:
            raise ImageError(f"cannot read {self.name}: {reason_of(error)}") from error
        return f"{os.path.realpath(self.path)}|{self.name}|{self.offset}|{self.size_bytes}|{changed}"

    def _content(self) -> bytes:
        size = -1 if self.size_bytes is None else self.size_bytes
        if self.unpacked is not None:
            return self.unpacked.read(self.offset, size)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(size)


def find_pictures(paths: Sequence[Path]) -> tuple[Source, ...]:
    """All pictures of any mix of folders, tar shards, lists and single files.

    The order is that of `paths` and of the lines of a list; folders, searched with
    everything below them, and shards are in natural order of their names (`a2` before
    `a10`), whatever the file system says. A path given twice counts twice. Whether
    a file can be decoded shows when it is used.

    Args:
        paths: a folder may hold shards; a list holds a path a line, relative to itself,
            with blank lines and lines that start with `#` left out.

    Raises:
        ImageError: a path or shard cannot be read, is of another kind, or there is no picture at all.
    """
    found = tuple(source for path in paths for source in _expand(Path(path), ()))
    if not found:
        searched = ", ".join(map(str, paths)) or "no paths"
        raise ImageError(f"no pictures in {searched}: expected {EXPECTED}, or a folder or shard that holds some")
    return found


def _expand(path: Path, lists: tuple[str, ...]) -> Iterator[Source]:
    """Pictures of one path, found in the given lists, outermost first."""
    if path.is_dir():
        yield from _folder(path)
    elif not path.exists():
        raise ImageError(f"no file or folder {path}: expected {EXPECTED}")
    elif _ends(path, (LIST_ENDING,)):
        yield from _list(path, lists)
    elif _ends(path, (*PICTURE_ENDINGS, *ARCHIVE_ENDINGS)):
        yield from _file(path)
    else:
        raise ImageError(f"{path} is of an unknown kind: expected {EXPECTED}")


def _folder(folder: Path) -> Iterator[Source]:
    def fail(error: OSError) -> None:
        raise ImageError(f"cannot read the folder {error.filename}: {reason_of(error)}") from error

    found, seen = [], set()
    for parent, below, files in os.walk(folder, followlinks=True, onerror=fail):
        # A link to a folder further up would lead around for ever.
        real = os.path.realpath(parent)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        # Two ways to the same folder: the first in natural order is taken, on every machine.
        below[:] = sorted((name for name in below if not name.startswith(".")), key=natural_key)
        found += [Path(parent, name) for name in files if _is_wanted(name, (*PICTURE_ENDINGS, *ARCHIVE_ENDINGS))]
    for path in sorted(found, key=lambda path: natural_key(path.relative_to(folder))):
        yield from _file(path)


def _file(path: Path) -> Iterator[Source]:
    if not _ends(path, ARCHIVE_ENDINGS):
        yield Source(name=str(path), path=path)
        return
    archive = list_archive(path, lambda name: _is_wanted(PurePath(name).name, PICTURE_ENDINGS))
    for member in sorted(archive.members, key=lambda member: natural_key(member.name)):
        yield Source(
            name=f"{path}/{member.name}",
            path=path,
            offset=member.offset,
            size_bytes=member.size_bytes,
            unpacked=archive.unpacked,
        )


def _list(path: Path, lists: tuple[str, ...]) -> Iterator[Source]:
    real = os.path.realpath(path)
    if real in lists:
        raise ImageError(f"the list {path} holds itself: remove that line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ImageError(f"cannot read the list {path}: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise ImageError(f"{path} is no list of paths: expected text in UTF-8, one path a line") from error
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        try:
            yield from _expand(path.parent / line, (*lists, real))
        except ImageError as error:
            raise ImageError(f"{path}, line {number}: {error}") from error


def natural_key(path: str | PurePath) -> tuple[tuple[list[str | int], str], ...]:
    """Sorts names as people do: digits by their value, capitals beside small letters."""
    return tuple(
        ([int(piece) if piece.isdecimal() else piece.casefold() for piece in re.split(r"(\d+)", part)], part)
        for part in PurePath(path).parts
    )


def _is_wanted(name: str, endings: tuple[str, ...]) -> bool:
    """Whether a name found on the way is a picture's or shard's; `._a.jpg` and other hidden ones are not."""
    return not name.startswith(".") and _ends(name, endings)


def _ends(path: str | PurePath, endings: tuple[str, ...]) -> bool:
    return str(path).lower().endswith(endings)
