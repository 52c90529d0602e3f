"""What every reader of a kind of file gives back, and how it words figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from mmap import mmap
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from efdn.sidecar import Sidecar

Content = bytes | mmap
"""A file's bytes; mapped rather than read, since weights can be larger than memory."""

Fact = tuple[str, str]
"""A name and what is to be said under it."""

Section = tuple[str, list[Fact]]
"""A title and what stands under it."""

LONGEST_TEXT = 300


class MalformedError(ValueError):
    """A file that begins like its kind and does not go on like it; the message is the reason alone."""


class Details(Protocol):
    """What one kind of file says of itself: a dataclass of plain values, ready for JSON."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def sections(self) -> list[Section]:
        """The same, to be read."""

    def contradictions(self, sidecar: Sidecar) -> list[str]:
        """Where a sidecar says otherwise, one clause each."""


def bytes_text(count: int) -> str:
    """A number of bytes, exact and, where it is large, rounded: "4,350,012 bytes (4.35 MB)"."""
    exact = f"{count:,} byte{'' if count == 1 else 's'}"
    return exact if count < 1e5 else f"{exact} ({count / 1e6:,.2f} MB)"


def metadata_section(metadata: Mapping[str, str]) -> Section:
    """What the writer of a file added to it."""
    return "metadata in the file", [(printable(key), printable(value) or "(empty)") for key, value in metadata.items()]


def counts_text(counts: Mapping[str, int]) -> str:
    """Numbers by name, largest first: "326 Slice, 194 Concat"."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {printable(name)}" for name, count in ordered)


def shape_text(sides: Iterable[int | str | None]) -> str:
    """The sides of a tensor: "1 x 3 x height x width"; an unnamed free side is "?", no side at all "scalar"."""
    return " x ".join("?" if side is None else printable(str(side)) for side in sides) or "scalar"


def printable(text: str) -> str:
    """A text from a file as one line that is safe to show: no control characters, not endlessly long."""
    safe = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return safe if len(safe) <= LONGEST_TEXT else f"{safe[:LONGEST_TEXT]}... ({len(text):,} characters)"
