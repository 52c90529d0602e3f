"""Kinds of model file, told by how the content begins, and the endings that go with them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

HEAD_BYTES = 64
"""How many bytes `tell_kind` needs."""

RTX_MAGIC, STANDARD_MAGIC = b"vtrt", b"ftrt"
ZIP_MAGIC = b"PK\x03\x04"
# A pickle of protocol 2 holding the number that torch.save wrote first until PyTorch 1.6.
LEGACY_CHECKPOINT_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"

# ONNX has no magic: a model begins with field 1, a small number, and goes on with another field of a model.
ONNX_IR_VERSION_KEY = 0x08
ONNX_NEXT_KEYS = frozenset((*(field << 3 | 2 for field in (2, 3, 4, 6, 7, 8)), 5 << 3))
MOST_IR_VERSION = 0x7F

LARGEST_SAFETENSORS_HEADER = 100_000_000
"""The limit that the format itself sets."""


class FileKind(str, Enum):
    """What a file can be; the values are those of a sidecar's `kind` where it has one."""

    ONNX = "onnx"
    ENGINE = "engine"
    SAFETENSORS = "safetensors"
    PYTORCH = "pytorch"

    @property
    def label(self) -> str:
        """The kind in words."""
        return LABELS[self]


LABELS = {
    FileKind.ONNX: "ONNX model",
    FileKind.ENGINE: "TensorRT engine",
    FileKind.SAFETENSORS: "safetensors file",
    FileKind.PYTORCH: "PyTorch checkpoint",
}

ENDINGS = {
    ".onnx": FileKind.ONNX,
    ".engine": FileKind.ENGINE,
    ".plan": FileKind.ENGINE,
    ".trt": FileKind.ENGINE,
    ".safetensors": FileKind.SAFETENSORS,
    ".pth": FileKind.PYTORCH,
    ".pt": FileKind.PYTORCH,
    ".ckpt": FileKind.PYTORCH,
}


def tell_kind(head: bytes) -> FileKind | None:
    """What begins like this.

    Args:
        head: the first `HEAD_BYTES` of a file, or all of it.

    Returns:
        The kind, or None where it is none of them. Whether the rest fits is for the kind's reader to find out.
    """
    if head.startswith((RTX_MAGIC, STANDARD_MAGIC)):
        return FileKind.ENGINE
    if head.startswith((ZIP_MAGIC, LEGACY_CHECKPOINT_MAGIC)):
        return FileKind.PYTORCH
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LARGEST_SAFETENSORS_HEADER:
        return FileKind.SAFETENSORS
    if len(head) > 2 and head[0] == ONNX_IR_VERSION_KEY and head[1] <= MOST_IR_VERSION and head[2] in ONNX_NEXT_KEYS:
        return FileKind.ONNX
    return None


def kind_by_name(path: Path) -> FileKind | None:
    """What the ending promises, where it promises anything."""
    return ENDINGS.get(path.suffix.lower())
