"""Tar shards: where their files are, so that each can be read by itself."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO

from efdn.errors import ImageError

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
"""How gzip, bzip2 and xz files start."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file inside a shard.

    Attributes:
        name: its path in the shard.
        offset: of its first byte, in the shard or in what was unpacked.
        size_bytes: its length.
    """

    name: str
    offset: int
    size_bytes: int


class Unpacked:
    """Files of a compressed shard, end to end in a temporary file that no name leads to."""

    def __init__(self) -> None:
        # The file lives as long as this object: a with statement cannot say so.
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="efdn-")  # noqa: SIM115
        self._lock = Lock()
        weakref.finalize(self, self._file.close)

    def append(self, file: IO[bytes]) -> int:
        """Copies a file to the end and returns the offset of its first byte."""
        offset = self._file.seek(0, 2)
        shutil.copyfileobj(file, self._file)
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, or what there is; for any number of threads."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A shard's files.

    Attributes:
        members: in the shard's order.
        unpacked: what their offsets count in; None for the shard itself.
    """

    members: tuple[Member, ...]
    unpacked: Unpacked | None


def list_archive(path: Path, wanted: Callable[[str], bool]) -> Archive:
    """Reads a shard's headers once; a compressed one, in which nothing can be found by its place, is unpacked.

    Links and sparse files are left out.

    Args:
        path: a tar file, plain or compressed by gzip, bzip2 or xz, told by its content.
        wanted: says by its name whether a file matters.

    Raises:
        ImageError: it cannot be read to its end.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(6).startswith(COMPRESSED)
        if compressed:
            return _unpack(path, wanted)
        with tarfile.open(path, "r:") as tar:
            members = [
                Member(name=info.name, offset=info.offset_data, size_bytes=info.size) for info in _files(tar, wanted)
            ]
        return Archive(members=tuple(members), unpacked=None)
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is no whole tar file ({reason}): get a whole copy, or leave it out") from error


def _unpack(path: Path, wanted: Callable[[str], bool]) -> Archive:
    unpacked, members = Unpacked(), []
    with tarfile.open(path, "r|*") as tar:
        for info in _files(tar, wanted):
            content = tar.extractfile(info)
            if content is not None:
                members.append(Member(name=info.name, offset=unpacked.append(content), size_bytes=info.size))
    return Archive(members=tuple(members), unpacked=unpacked)


def _files(tar: tarfile.TarFile, wanted: Callable[[str], bool]) -> Iterator[tarfile.TarInfo]:
    return (info for info in tar if info.isreg() and not info.issparse() and wanted(info.name))
