"""Where this toolkit keeps what it can make again."""

from __future__ import annotations

import os
import re
from pathlib import Path

VARIABLE = "EFDN_CACHE"
"""Environment variable that names another folder."""


def cache_folder(folder: Path | None = None) -> Path:
    """The folder given, that of EFDN_CACHE, or the user's for this toolkit, in this order. It need not exist."""
    if folder is not None:
        return folder
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_cache_path("efdn", appauthor=False)


def folder_name(text: str) -> str:
    """A text as a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "unknown"
