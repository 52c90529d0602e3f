"""The file that FFmpeg writes into."""

from __future__ import annotations

from io import FileIO
from typing import Any


class TargetFile(FileIO):
    """A file that remembers that it could not be written: FFmpeg passes over some of such errors.

    Attributes:
        error: the first, or None.
    """

    error: OSError | None = None

    def write(self, content: Any) -> int:
        """Writes everything, or raises OSError."""
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while left:
                left = left[super().write(left) or 0 :]
        except OSError as error:
            self.error = self.error or error
            raise
        return size

    def check(self) -> None:
        """Raises the OSError that there was, if there was one."""
        if self.error is not None:
            raise self.error
