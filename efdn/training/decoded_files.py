"""Decoded pictures kept as files, which are mapped rather than read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from efdn.errors import OutputError
from efdn.files import reason_of, sha256_of_bytes, staged

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class DecodedFiles:
    """A folder with the pixels of pictures, to be shared by processes and by runs.

    Only the rows of a patch are read from disk, and what is used often stays in the
    system's file cache. Ten million pixels take 32 MB.

    Args:
        folder: created where missing.
        scale: of the pairs.

    Raises:
        OutputError: the folder cannot be created.
    """

    def __init__(self, folder: Path, *, scale: int) -> None:
        self._folder = folder
        self._scale = scale
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot create {folder}: {reason_of(error)}") from error

    def pair(self, identity: str, make: Callable[[], Pair]) -> Pair:
        """HR and LR pixels, mapped from disk, and made first where they are not there.

        Args:
            identity: of the picture's content.
            make: decodes it.

        Raises:
            OutputError: the files cannot be written.
        """
        name = sha256_of_bytes(identity.encode("utf-8", "surrogateescape"))[:32]
        paths = [self._folder / f"{name}-x{self._scale}-{part}.npy" for part in ("hr", "lr")]
        try:
            hr, lr = (np.load(path, mmap_mode="r") for path in paths)
        except FileNotFoundError:
            made = make()
            for path, pixels in zip(paths, made, strict=True):
                with staged(path) as temporary, temporary.open("wb") as file:
                    np.save(file, pixels)
            return made
        return hr, lr
