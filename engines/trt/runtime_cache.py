"""Kernels that TensorRT for RTX compiled on this machine, kept for the next start.

TensorRT for RTX finishes an engine's kernels on the GPU they run on, when an engine
is opened. The cache is good for one GPU, driver and version, and is refused by
TensorRT itself elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from efdn.caches import cache_folder, folder_name
from efdn.errors import EfdnError
from efdn.files import staged
from engines.cuda.device import CudaDevice


class RuntimeCache:
    """The cache file of one engine.

    A file that cannot be read, is of another machine or broken is as good as none, and
    a folder that cannot be written costs the next start its time: neither is an error.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warm = False
        """Whether kernels were found that TensorRT took."""
        self._cache: Any = None
        self._known = b""

    def attach(self, config: Any) -> None:
        """Makes a runtime configuration read from and add to this cache."""
        self._cache = config.create_runtime_cache()
        with suppress(OSError):
            self._known = self.path.read_bytes()
        if self._known:
            self.warm = bool(self._cache.deserialize(self._known))
            if not self.warm:
                self._known = b""
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Writes what has been added, whole or not at all: another process may be at the same file."""
        if self._cache is None:
            return
        serialized = self._cache.serialize()  # None where the GPU has failed.
        content = b"" if serialized is None else bytes(serialized)
        if not content or content == self._known:
            return
        with suppress(OSError, EfdnError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with staged(self.path) as temporary:
                temporary.write_bytes(content)
            self._known = content


def runtime_cache_path(folder: Path | None, device: CudaDevice, version: str, engine_sha256: str) -> Path:
    """Where an engine's cache stands.

    Args:
        folder: of all caches; the user's if None.
        device: which GPU and driver.
        version: of TensorRT for RTX.
        engine_sha256: of the engine file: engines do not share files, so that they never wait for each other.
    """
    machine = folder_name(f"{device.name} {device.architecture} cuda{device.cuda_version}")
    return cache_folder(folder) / "tensorrt-rtx" / folder_name(version) / machine / f"{engine_sha256[:16]}.bin"
