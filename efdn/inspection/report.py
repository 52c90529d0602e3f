"""Looks at one file: its kind, what it says of itself, and what its sidecar says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from efdn.errors import ModelFileError
from efdn.files import reason_of
from efdn.inspection.checkpoint_file import read_checkpoint
from efdn.inspection.details import Content, Details, MalformedError, Section, bytes_text
from efdn.inspection.engine_file import read_engine
from efdn.inspection.kinds import HEAD_BYTES, FileKind, kind_by_name, tell_kind
from efdn.inspection.onnx_file import read_onnx
from efdn.inspection.safetensors_file import read_safetensors
from efdn.inspection.sidecar_facts import SidecarFinding, find_sidecar, sidecar_facts

EXPECTED = "expected weights (safetensors or a PyTorch checkpoint), an ONNX file or a TensorRT engine"
SHOWN_BYTES = 16

READERS: dict[FileKind, Callable[[Path, Content], Details]] = {
    FileKind.ONNX: lambda path, content: read_onnx(content),
    FileKind.ENGINE: lambda path, content: read_engine(content),
    FileKind.SAFETENSORS: lambda path, content: read_safetensors(content),
    FileKind.PYTORCH: lambda path, content: read_checkpoint(path),
}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file is.

    Attributes:
        path: as given.
        kind: told by its content.
        bytes: its size.
        sha256: of its content.
        details: what it says of itself.
        finding: its sidecar.
    """

    path: Path
    kind: FileKind
    bytes: int
    sha256: str
    details: Details
    finding: SidecarFinding

    @property
    def sidecar_matches(self) -> bool | None:
        """Whether the sidecar's SHA-256 is the file's; None without a sidecar that can be read."""
        sidecar = self.finding.sidecar
        return None if sidecar is None else sidecar.sha256 == self.sha256

    @property
    def warnings(self) -> list[str]:
        """What is odd and does no harm to the file itself."""
        promised = kind_by_name(self.path)
        if promised is None or promised is self.kind:
            return []
        named, real = _article(promised.label), _article(self.kind.label)
        return [f"named like {named}, it is {real}: rename it, since commands go by the name"]

    @property
    def problems(self) -> list[str]:
        """What is wrong with the sidecar, one sentence each; empty where there is none, or nothing wrong with it."""
        sidecar = self.finding.sidecar
        if sidecar is None:
            return [] if self.finding.error is None else [f"the sidecar cannot be read: {self.finding.error}"]
        found = []
        if not self.sidecar_matches:
            found.append(f"the sidecar describes another file: SHA-256 {sidecar.sha256} there, {self.sha256} here")
        if sidecar.kind != self.kind.value:
            clauses = [f"it says kind {sidecar.kind}, this is {self.kind.value}"]
        else:
            clauses = self.details.contradictions(sidecar)
        return found + [f"the sidecar contradicts the file: {clause}" for clause in clauses]

    def sections(self) -> list[Section]:
        """Everything, to be read."""
        general = [
            ("kind", self.kind.label),
            ("size", bytes_text(self.bytes)),
            ("SHA-256", self.sha256),
            *(("warning", warning) for warning in self.warnings),
        ]
        name, sidecar = self.finding.path.name, self.finding.sidecar
        if sidecar is not None:
            beside: Section = (f"sidecar {name}", sidecar_facts(sidecar, self.sha256))
        elif self.finding.error is not None:
            beside = (f"sidecar {name}: cannot be read", [])
        else:
            beside = (f"no sidecar: there is no {name} beside it", [])
        said = [(title, facts) for title, facts in self.details.sections() if facts]
        return [(str(self.path), general), *said, beside]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values; a sidecar of an older schema as this version would write it."""
        sidecar = self.finding.sidecar
        return {
            "kind": self.kind.value,
            "file": str(self.path),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "details": asdict(self.details),
            "sidecar": None if sidecar is None else asdict(sidecar),
            "sidecar_matches": self.sidecar_matches,
            "warnings": self.warnings,
            "problems": self.problems,
        }


def inspect_file(path: Path) -> Inspection:
    """Looks at a file and its sidecar.

    Raises:
        ModelFileError: the file is missing, empty, cut off, or none of the kinds known here.
    """
    try:
        if path.is_dir():
            raise ModelFileError(f"{path} is a folder: {EXPECTED}")
        if not path.exists():
            raise ModelFileError(f"no file {path}: {EXPECTED}")
        if not path.is_file() or path.stat().st_size == 0:
            raise ModelFileError(f"{path} is {'empty' if path.is_file() else 'no ordinary file'}: {EXPECTED}")
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return _inspect(path, content)
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {reason_of(error)}") from error


def _inspect(path: Path, content: mmap) -> Inspection:
    kind = tell_kind(content[:HEAD_BYTES])
    if kind is None:
        raise ModelFileError(f"cannot tell what {path} is: {EXPECTED}; it begins with {content[:SHOWN_BYTES]!r}")
    try:
        details = READERS[kind](path, content)
    except MalformedError as error:
        raise ModelFileError(
            f"{path} begins like {_article(kind.label)}, but is broken or cut off: {error}; copy or make it anew"
        ) from error
    return Inspection(
        path=path,
        kind=kind,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        details=details,
        finding=find_sidecar(path),
    )


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"
