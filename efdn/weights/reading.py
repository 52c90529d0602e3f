"""What a weights file holds, before anything is known of the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch

from efdn.errors import MissingExtraError, WeightsError
from efdn.files import reason_of
from efdn.inspection.details import printable
from efdn.inspection.kinds import HEAD_BYTES, FileKind, kind_by_name, tell_kind

EXPECTED = "expected a .safetensors file or a published .pth checkpoint"


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        tensors: of safetensors a dict of tensors, of a checkpoint whatever it was saved as.
        metadata: of safetensors; a checkpoint has none.
    """

    tensors: Any
    metadata: dict[str, str]


def read_weights(path: Path) -> Contents:
    """Reads a weights file: safetensors or a checkpoint, told by its content, and by its name where that says nothing.

    Raises:
        WeightsError: missing, broken, or holding pickled code.
        MissingExtraError: safetensors is not installed.
    """
    if not path.exists():
        raise WeightsError(f"no weights at {path}: {EXPECTED}")
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: {EXPECTED}")
    try:
        with path.open("rb") as file:
            kind = tell_kind(file.read(HEAD_BYTES)) or kind_by_name(path)
            if kind is FileKind.SAFETENSORS:
                return _read_safetensors(path)
            file.seek(0)
            # As a file: by a path torch.load goes by the name.
            return Contents(torch.load(file, map_location="cpu", weights_only=True), {})
    except (MissingExtraError, MemoryError):
        raise
    except PermissionError as error:
        raise WeightsError(f"cannot read {path}: {reason_of(error)}") from error
    except Exception as error:  # Both readers raise many kinds: pickle, zip, JSON and runtime errors among them.
        raise WeightsError(f"{path} is not a readable weights file: {_fault(str(error))}") from error


def _read_safetensors(path: Path) -> Contents:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise MissingExtraError("safetensors", "export", f"Reading {path.name}") from error
    with safe_open(path, framework="pt") as file:
        keys = file.keys()
        return Contents({key: file.get_tensor(key) for key in keys}, file.metadata() or {})


def _fault(message: str) -> str:
    """What is wrong by what PyTorch or safetensors said, and what to do about it."""
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is not None:
        return (
            f"besides tensors it holds {printable(found[1])}, and pickled code is never run: "
            "save the network's state_dict() alone"
        )
    if "TorchScript" in message:
        return "it is a TorchScript archive, whose code is never run: save the network's state_dict() instead"
    return "it is broken or cut off, expected safetensors or a state dict saved by torch.save"
