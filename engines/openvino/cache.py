"""Models that OpenVINO compiled on this machine, kept for the next start.

OpenVINO has such a cache of its own, but takes a damaged file without a word, and then gives wrong pictures. Files here
begin with the SHA-256 of what follows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from efdn.caches import cache_folder, folder_name
from efdn.errors import EfdnError
from efdn.files import staged
from efdn.version import __version__

KEPT = 16
"""Files of one version and processor; those not used for longest go. Each is about twice its ONNX file."""

FORM = 1
"""Of what is compiled from a file: counted up where that changes between releases."""

_DIGEST_BYTES = 32


class CompiledCache:
    """The cache file of one model with one set of settings.

    A file that cannot be read or is broken is as good as none, and a folder that cannot be written costs the next
    start its time: neither is an error.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> bytes | None:
        """What was saved, whole, or None."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(self.path)  # Used now.
        digest, compiled = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return compiled if sha256(compiled).digest() == digest else None

    def save(self, compiled: bytes) -> None:
        """Writes it, whole or not at all: another process may be at the same file."""
        with suppress(OSError, EfdnError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with staged(self.path) as temporary:
                temporary.write_bytes(sha256(compiled).digest() + compiled)
            others = [path for path in self.path.parent.glob("*.bin") if path != self.path]
            for old in sorted(others, key=lambda path: path.stat().st_mtime)[: -(KEPT - 1)]:
                old.unlink()


def compiled_cache(
    content: bytes, version: str, processor: str, settings: Mapping[str, Any], folder: Path | None = None
) -> CompiledCache:
    """The cache of a model.

    Args:
        content: the ONNX file.
        version: of OpenVINO, build included.
        processor: and what it can do.
        settings: with which it is compiled.
        folder: of all caches; the user's if None.
    """
    key = sha256(content)
    key.update(json.dumps([__version__, FORM, dict(settings)], sort_keys=True).encode())
    place = cache_folder(folder) / "openvino" / folder_name(version) / folder_name(processor)
    return CompiledCache(place / f"{key.hexdigest()[:16]}.bin")
