"""Files written whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from efdn.errors import ConfigError, ModelFileError, OutputError

_mark = ""


def mark_parts(mark: str) -> None:
    """Names temporary files of this process after a run, so that those of killed processes can be found.

    Args:
        mark: letters and digits; `remove_parts` takes the same.
    """
    global _mark
    _mark = mark


def part_beside(final: Path, ending: str = "") -> Path:
    """A new path for what becomes `final`: hidden, on the same file system.

    Args:
        final: the file to write.
        ending: with its dot, for libraries that tell formats by it.
    """
    return final.with_name(f".efdn-{_mark}{os.urandom(8).hex()}.part{ending}")


def remove_parts(folder: Path, mark: str) -> int:
    """Removes what killed processes of a run have left in a folder.

    Args:
        folder: where results went; need not be there.
        mark: as given to `mark_parts`; all processes that used it must have ended.

    Returns:
        How many files were removed.

    Raises:
        ConfigError: an empty mark, which all processes without one share.
    """
    if not mark:
        raise ConfigError("expected the mark of a run, got none: files of other processes must stay")
    removed = 0
    for part in folder.glob(f".efdn-{mark}*.part*"):
        with suppress(OSError):
            part.unlink()
            removed += 1
    return removed


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside `target`; on leaving without an error it becomes `target`.

    What stood at `target` stays untouched until then, and for good if the body raises.

    Args:
        target: the file to write; a symbolic link is followed.

    Raises:
        OutputError: the folder does not exist or cannot be written, or `target` is a folder.
    """
    final = check_target(target)
    temporary = part_beside(final)
    try:
        yield temporary
        temporary.replace(final)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {reason_of(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_target(target: Path) -> Path:
    """The real path behind `target`, once it is known that it can be written.

    Raises:
        OutputError: see `staged`.
    """
    final = Path(os.path.realpath(target))
    if final.is_dir():
        raise OutputError(f"cannot write {target}: expected a file name, this is a folder")
    if final.parent.exists() and not final.parent.is_dir():
        raise OutputError(f"cannot write {target}: {final.parent} is a file, not a folder")
    if not final.parent.is_dir():
        raise OutputError(f"cannot write {target}: the folder {final.parent} does not exist; create it first")
    if not os.access(final.parent, os.W_OK):
        raise OutputError(f"cannot write {target}: no permission to write in {final.parent}; choose another with -o")
    return final


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, whole or not at all."""
    with staged(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        ModelFileError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {reason_of(error)}") from error


def sha256_of_bytes(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def reason_of(error: OSError) -> str:
    """The operating system's reason in one line, without the path it may repeat."""
    return (error.strerror or str(error)).lower()
