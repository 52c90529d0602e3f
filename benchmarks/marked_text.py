"""Figures inside a page that people write: what stands between two comments is replaced, and nothing else."""

from __future__ import annotations

from pathlib import Path

from efdn.errors import OutputError
from efdn.files import reason_of, staged

BEGINNING, END = "<!-- figures:", "<!-- end of figures -->"


def begin(command: str) -> str:
    """The comment before the figures of a command."""
    return f"{BEGINNING} {command} -->"


def check_place(page: Path, command: str) -> None:
    """Raises OutputError unless a page has a place for the figures of a command."""
    _parts(page, command)


def write_between(page: Path, command: str, text: str) -> None:
    """Puts text between a command's comment and the next `END`, whole or not at all.

    Args:
        page: Markdown.
        command: that the figures come from.
        text: Markdown.

    Raises:
        OutputError: the page does not have both comments, or other figures begin between them, or it cannot be
            written.
    """
    before, after = _parts(page, command)
    with staged(page) as temporary:
        temporary.write_text(f"{before}\n\n{text.strip()}\n\n{after}", encoding="utf-8")


def _parts(page: Path, command: str) -> tuple[str, str]:
    """What comes up to the first comment and from the second on, both included."""
    try:
        content = page.read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot read {page}: {reason_of(error)}") from error
    before, mark, rest = content.partition(begin(command))
    between, stop, after = rest.partition(END)
    if not mark or not stop or BEGINNING in between:
        raise OutputError(f"expected {begin(command)} and {END} in {page.name}, found no such place: put them there")
    return before + mark, stop + after
