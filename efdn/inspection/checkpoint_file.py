"""What a PyTorch checkpoint holds, without PyTorch and without unpickling.

Since version 1.6, torch.save writes a zip archive: a pickle that names the tensors,
and one entry a storage. Before, it wrote several pickles and the storages one after
another.
"""

from __future__ import annotations

import io
import zipfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from efdn.inspection.details import MalformedError, Section, bytes_text, printable
from efdn.inspection.kinds import ZIP_MAGIC
from efdn.inspection.pickles import Record, UnknownPickleError, follow_pickle
from efdn.inspection.tensors import TensorEntry, checked_shape, learnable_parameters, tensor_facts
from efdn.sidecar import Sidecar

LARGEST_PICKLE = 64_000_000
"""Bytes. The pickle of a state dict holds names and shapes only; that of EFDN has 65 kB."""

PICKLES_BEFORE_THE_OBJECT = 3
"""A magic number, a version and facts about the machine, in files of the old form."""

LARGEST_KEY = 1 << 64
MOST_DICTS = 4
SMALL_SHARE = 0.1
"""Of the tensors of the largest dict; those of an optimizer, one for each parameter, are below."""

TENSOR = "global torch._utils._rebuild_tensor_v2"
TYPED_TENSOR, TYPE_ARGUMENT = "global torch._utils._rebuild_tensor_v3", 6
WRAPPERS = ("global torch._utils._rebuild_parameter", "global torch._utils._rebuild_parameter_with_state")

STORAGES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True, kw_only=True)
class StateDict:
    """The tensors of one dict.

    Attributes:
        key: where it lies in the checkpoint, such as "params"; "" where the checkpoint is the dict itself.
        parameters: learnable numbers, without running statistics.
        tensors: in the order of the file.
    """

    key: str
    parameters: int
    tensors: tuple[TensorEntry, ...]


@dataclass(frozen=True, kw_only=True)
class CheckpointDetails:
    """What a PyTorch checkpoint holds.

    Attributes:
        form: of the file.
        state_dicts: empty where the names could not be had.
        unread: why there are none, else None.
        storages: number of storages; None in the old form, which does not tell before the end.
        storage_bytes: of all of them; None likewise.
    """

    form: str
    state_dicts: tuple[StateDict, ...]
    unread: str | None
    storages: int | None
    storage_bytes: int | None

    def sections(self) -> list[Section]:
        rows = [("form", self.form)]
        if self.storages is not None and self.storage_bytes is not None:
            rows.append(("storages", f"{self.storages:,}, {bytes_text(self.storage_bytes)}"))
        rows.append(("pickled code", "not run: names and shapes are read off the pickle's instructions"))
        if self.unread is not None:
            rows.append(("tensors", f"none told: the pickle {printable(self.unread)}"))
        most = max((len(state.tensors) for state in self.state_dicts), default=0)
        shown = [state for state in self.state_dicts if len(state.tensors) >= SMALL_SHARE * most][:MOST_DICTS]
        if rest := [len(state.tensors) for state in self.state_dicts if state not in shown]:
            rows.append(("not shown", f"{len(rest):,} smaller dicts with {sum(rest):,} tensors (--json has them)"))
        titles = (f"tensors in {printable(state.key) or 'the checkpoint'}" for state in shown)
        return [("checkpoint", rows), *zip(titles, (tensor_facts(state.tensors) for state in shown), strict=True)]

    def contradictions(self, sidecar: Sidecar) -> list[str]:
        return []


def read_checkpoint(path: Path) -> CheckpointDetails:
    """Reads the names and sizes in a checkpoint.

    Raises:
        MalformedError: broken, cut off, or another zip archive.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
            return _read_zip(file)
        file.seek(0)
        # Bytes in memory, since a broken file that asks for the impossible is then just found to be short.
        return _read_legacy(io.BytesIO(file.read(LARGEST_PICKLE)))


def _read_zip(file: IO[bytes]) -> CheckpointDetails:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            pickled = next((entry for entry in entries if Path(entry.filename).name == "data.pkl"), None)
            if pickled is None:
                raise MalformedError("a zip archive without data.pkl")
            if pickled.file_size > LARGEST_PICKLE:
                raise MalformedError(f"its data.pkl has {bytes_text(pickled.file_size)}")
            content = archive.read(pickled)
    except (MalformedError, MemoryError):
        raise
    except Exception as error:  # zipfile and the decompressors behind it raise many kinds.
        raise MalformedError(" ".join(str(error).split()) or "a broken zip archive") from error
    root = pickled.filename.removesuffix("data.pkl")
    storages = [entry for entry in entries if entry.filename.startswith(f"{root}data/")]
    script = any(entry.filename == f"{root}constants.pkl" for entry in entries)
    state_dicts, unread = _state_dicts(io.BytesIO(content))
    return CheckpointDetails(
        form="TorchScript archive (torch.jit.save)" if script else "zip archive (torch.save since PyTorch 1.6)",
        state_dicts=state_dicts,
        unread=unread,
        storages=len(storages),
        storage_bytes=sum(entry.file_size for entry in storages),
    )


def _read_legacy(file: IO[bytes]) -> CheckpointDetails:
    try:
        for _ in range(PICKLES_BEFORE_THE_OBJECT):
            follow_pickle(file)
    except UnknownPickleError as error:
        raise MalformedError(f"its first pickles cannot be read: {error}") from error
    state_dicts, unread = _state_dicts(file)
    return CheckpointDetails(
        form="pickles (torch.save before PyTorch 1.6)",
        state_dicts=state_dicts,
        unread=unread,
        storages=None,
        storage_bytes=None,
    )


def _state_dicts(file: IO[bytes]) -> tuple[tuple[StateDict, ...], str | None]:
    """Every dict that holds tensors; where there is none, the reason."""
    try:
        content = follow_pickle(file)
    except UnknownPickleError as error:
        return (), str(error)
    found = []
    for key, container in _containers(content):
        tensors = tuple(
            entry for name, value in container.items if (entry := _tensor(_key_text(name), value)) is not None
        )
        if tensors:
            found.append(StateDict(key=key, parameters=learnable_parameters(tensors), tensors=tensors))
    return tuple(found), None if found else f"makes {_kind_of(content)}, without tensors by name"


def _containers(content: object) -> Iterator[tuple[str, Record]]:
    """Every record that holds others by key, from the outside in; each once, though it may stand in many places."""
    waiting, seen = deque([("", content)]), set[int]()
    while waiting:
        key, value = waiting.popleft()
        if isinstance(value, Record) and value.items and id(value) not in seen:
            seen.add(id(value))
            yield key, value
            waiting.extend(
                (f"{key}.{_key_text(name)}" if key else _key_text(name), inner) for name, inner in value.items
            )


def _key_text(key: object) -> str:
    """A key as it is shown; of what can be nested endlessly only the kind, in words."""
    plain = isinstance(key, str | float | None) or (isinstance(key, int) and abs(key) <= LARGEST_KEY)
    return str(key) if plain else f"({_kind_of(key)})"


def _kind_of(content: object) -> str:
    """What a pickle makes, in words."""
    while isinstance(content, Record) and content.what == "call":
        content = content.arguments[0]
    name = content.what if isinstance(content, Record) else type(content).__name__
    return name.removeprefix("global ")


def _tensor(name: str, value: object) -> TensorEntry | None:
    """The tensor that a record stands for: the call (rebuild, (storage, offset, shape, ...))."""
    call = _call(value)
    while call is not None and call[0].what in WRAPPERS:
        call = _call(call[1][0])
    if call is None:
        return None
    callee, arguments = call
    if callee.what not in (TENSOR, TYPED_TENSOR) or len(arguments) < 3 or not isinstance(arguments[2], tuple):
        return None
    return TensorEntry(name=name, dtype=_dtype(callee, arguments), shape=checked_shape(arguments[2], name))


def _call(value: object) -> tuple[Record, tuple[object, ...]] | None:
    """What is called and what it is given, where a record stands for a call with arguments."""
    if not isinstance(value, Record) or value.what != "call":
        return None
    callee, arguments = value.arguments
    return (callee, arguments) if isinstance(callee, Record) and isinstance(arguments, tuple) and arguments else None


def _dtype(callee: Record, arguments: tuple[object, ...]) -> str:
    """The type of the elements: said, or that of the storage, which is ("storage", type, key, device, size)."""
    if callee.what == TYPED_TENSOR:
        kind = arguments[TYPE_ARGUMENT] if len(arguments) > TYPE_ARGUMENT else None
    else:
        storage = arguments[0]
        identity = storage.arguments[0] if isinstance(storage, Record) and storage.what == "persistent" else ()
        kind = identity[1] if isinstance(identity, tuple) and len(identity) > 1 else None
    name = kind.what.rpartition(".")[2] if isinstance(kind, Record) else "unknown type"
    return STORAGES.get(name, name)
