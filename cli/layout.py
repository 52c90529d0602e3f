"""How wide a line may be."""

from __future__ import annotations

import shutil
import sys

NARROWEST = 60


def line_length(usual: int) -> int:
    """The usual length, or what a narrower terminal has; pipes and files get the usual one."""
    if not sys.stdout.isatty():
        return usual
    return max(NARROWEST, min(usual, shutil.get_terminal_size().columns))
