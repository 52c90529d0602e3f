"""One picture's work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.batch.sources import Source


@dataclass(frozen=True, kw_only=True)
class Task:
    """A source and the file that its result becomes.

    Attributes:
        source: the picture.
        target: the file to write; its folder need not exist yet.
    """

    source: Source
    target: Path
