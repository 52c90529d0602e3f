"""Models that OpenVINO compiled on this machine, kept for the next start.

OpenVINO has such a cache of its own, but takes a damaged file without a word, and then gives wrong pictures. Files here
begin with the SHA-256 of what follows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from efdn.caches import cache_folder, folder_name
from efdn.errors import EfdnError
from efdn.files import staged

KEPT = 16
"""Files of one version and processor; the oldest go. Each is about twice its ONNX file."""

FORM = 1
"""Of what is compiled from a file: counted up when graphs are changed before they are compiled, or no longer."""

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
        digest, compiled = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return compiled if sha256(compiled).digest() == digest else None

    def save(self, compiled: bytes) -> None:
        """Writes it, whole or not at all: another process may be at the same file."""
        with suppress(OSError, EfdnError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with staged(self.path) as temporary:
                temporary.write_bytes(sha256(compiled).digest() + compiled)
            for old in sorted(self.path.parent.glob("*.bin"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
                old.unlink()


def compiled_cache(content: bytes, version: str, processor: str, settings: Mapping[str, Any]) -> CompiledCache:
    """The cache of a model.

    Args:
        content: the ONNX file.
        version: of OpenVINO, build included.
        processor: and what it can do.
        settings: with which it is compiled.
    """
    key = sha256(content)
    key.update(json.dumps([FORM, dict(settings)], sort_keys=True).encode())
    folder = cache_folder() / "openvino" / folder_name(version) / folder_name(processor)
    return CompiledCache(folder / f"{key.hexdigest()[:16]}.bin")
