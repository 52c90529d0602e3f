"""A folder written whole or not at all, and replaced only where nothing of anybody else is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efdn.errors import OutputError
from efdn.files import part_beside, reason_of, write_json
from efdn.version import __version__

MARKER = "efdn.json"
"""Lists what was written, so that it can be told from what was not. Triton looks at folders alone."""


@contextmanager
def staged_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yields a new folder beside `target`; on leaving without an error it becomes `target`.

    What stood there stays untouched until then, and for good if the body raises.

    Args:
        target: need not be there; a symbolic link is followed.
        overwrite: whether a folder that was written here before, with nothing added, is replaced.

    Raises:
        OutputError: there is something else at `target`, or it cannot be written.
    """
    final = check_folder(target, overwrite=overwrite)
    temporary = part_beside(final)
    try:
        temporary.mkdir()
        yield temporary
        write_json(temporary / MARKER, {"producer": f"efdn {__version__}", "files": files_in(temporary)})
        check_folder(target, overwrite=overwrite)
        _take_place(temporary, final)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {reason_of(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_folder(target: Path, *, overwrite: bool) -> Path:
    """The real path behind `target`, once it is known that a folder can be written there.

    Raises:
        OutputError: see `staged_folder`.
    """
    final = Path(os.path.realpath(target))
    if final.exists() and not final.is_dir():
        raise OutputError(f"cannot write {target}: expected a folder's name, this is a file")
    if not final.parent.is_dir():
        raise OutputError(f"cannot write {target}: the folder {final.parent} does not exist; create it first")
    present = files_in(final)
    if not present and not any(final.glob("*")):
        return final
    own = _listed(final)
    if own is None:
        raise OutputError(f"cannot write {target}: it holds files that are not of this command; choose another folder")
    if foreign := next((name for name in present if name not in own), None):
        raise OutputError(f"cannot replace {target}: {foreign} in it is not of this command; move it or choose another")
    if not overwrite:
        raise OutputError(f"{target} is there already: give --overwrite, or choose another folder")
    if final in (here := Path.cwd(), *here.parents):
        raise OutputError(f"cannot replace {target} from within: run the command from another folder")
    return final


def files_in(folder: Path) -> list[str]:
    """Every file below, hidden ones too, as POSIX paths in order; the marker is left out."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(name for path in found if (name := path.relative_to(folder).as_posix()) != MARKER)


def _listed(folder: Path) -> set[str] | None:
    """What the marker lists; None without a marker that can be read."""
    try:
        return set(json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _take_place(temporary: Path, final: Path) -> None:
    """Puts the new folder where it belongs.

    An empty folder is filled, as it may be somebody's working folder or the root of a disk; the old one of a
    repository is renamed out of the way first, and back if that fails.
    """
    if not final.exists():
        temporary.replace(final)
    elif not any(final.iterdir()):
        _fill(temporary, final)
    else:
        _replace(temporary, final)


def _fill(temporary: Path, final: Path) -> None:
    moved: list[Path] = []
    try:
        # The marker last: without it the folder does not count as written.
        for child in sorted(temporary.iterdir(), key=lambda path: path.name == MARKER):
            moved.append(final / child.name)
            child.replace(moved[-1])
    except BaseException:
        for path in moved:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _replace(temporary: Path, final: Path) -> None:
    old = part_beside(final)
    try:
        final.replace(old)
        temporary.replace(final)
    except BaseException:
        if old.exists() and not final.exists():
            try:
                old.replace(final)
            except OSError as error:
                raise OutputError(f"what was in {final} is in {old} now: {reason_of(error)}; rename it back") from error
        raise
    shutil.rmtree(old, ignore_errors=True)
