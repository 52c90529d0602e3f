"""Which engines there are, what they read, and where they live.

Nothing is imported until an engine is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import cast

from efdn.errors import EngineError, UsageError
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Engine


class ModelKind(str, Enum):
    """Kinds of model file, told by the end of their name."""

    WEIGHTS = "weights"
    ONNX = "ONNX"
    ENGINE = "TensorRT engine"


ENDINGS = {
    ".safetensors": ModelKind.WEIGHTS,
    ".pth": ModelKind.WEIGHTS,
    ".pt": ModelKind.WEIGHTS,
    ".ckpt": ModelKind.WEIGHTS,
    ".onnx": ModelKind.ONNX,
    ".engine": ModelKind.ENGINE,
    ".plan": ModelKind.ENGINE,
    ".trt": ModelKind.ENGINE,
}


@dataclass(frozen=True, kw_only=True)
class EngineEntry:
    """One engine.

    Attributes:
        name: what users type.
        reads: kind of model file it runs.
        opener: "module:function" taking the model's path and `RunOptions` and returning the engine.
        extra: of this distribution, which brings what it needs.
        on_request: whether it is never chosen unless asked for: it is there to be compared with, or slow to open.
        network: whether it computes the network, so that its results can be held to those of others that do.
    """

    name: str
    reads: ModelKind
    opener: str
    extra: str
    on_request: bool = False
    network: bool = True

    def open(self, model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
        """Opens the engine; see the opener for what it raises."""
        module, function = self.opener.split(":")
        return cast("Callable[[Path, RunOptions], Engine]", getattr(import_module(module), function))(model, options)


def _entry(
    name: str, reads: ModelKind, opener: str, extra: str, *, on_request: bool = False, network: bool = True
) -> EngineEntry:
    return EngineEntry(
        name=name, reads=reads, opener=f"engines.{opener}", extra=extra, on_request=on_request, network=network
    )


ENGINES = (
    _entry("tensorrt", ModelKind.ENGINE, "trt.open:open_tensorrt", "gpu"),
    _entry("onnxruntime-cuda", ModelKind.ONNX, "ort:open_cuda", "gpu"),
    _entry("openvino", ModelKind.ONNX, "openvino:open_openvino", "openvino"),
    _entry("onnxruntime-cpu", ModelKind.ONNX, "ort:open_cpu", "cpu"),
    _entry("onnxruntime-tensorrt", ModelKind.ONNX, "ort:open_tensorrt", "gpu", on_request=True),
    _entry("bicubic", ModelKind.ONNX, "bicubic:open_bicubic", "cpu", on_request=True, network=False),
    _entry("pytorch", ModelKind.WEIGHTS, "pytorch:open_pytorch", "export"),
    _entry("pytorch-published", ModelKind.WEIGHTS, "pytorch:open_published", "export", on_request=True),
    _entry(
        "pytorch-published-channels-last",
        ModelKind.WEIGHTS,
        "pytorch:open_published_channels_last",
        "export",
        on_request=True,
    ),
    _entry("pytorch-published-tf32", ModelKind.WEIGHTS, "pytorch:open_published_tf32", "export", on_request=True),
    _entry("pytorch-published-fp16", ModelKind.WEIGHTS, "pytorch:open_published_half", "export", on_request=True),
    _entry("pytorch-compiled", ModelKind.WEIGHTS, "pytorch:open_compiled", "export", on_request=True),
)
"""In the order in which they are chosen: OpenVINO before ONNX Runtime's CPU engine, as `make bench` measures them."""


def find_engine(name: str) -> EngineEntry:
    """The entry of that name.

    Raises:
        UsageError: there is none.
    """
    for entry in ENGINES:
        if entry.name == name:
            return entry
    raise UsageError(f"no engine {name!r}: expected auto, {', '.join(entry.name for entry in ENGINES)}")


def model_kind(path: Path) -> ModelKind:
    """What kind of model a file is.

    Raises:
        EngineError: the file is missing, a folder, or has an unknown ending.
    """
    if path.is_dir():
        raise EngineError(f"{path} is a folder: expected a model file ({', '.join(ENDINGS)})")
    if not path.exists():
        raise EngineError(f"no model file {path}: expected weights, an ONNX file or a TensorRT engine")
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise EngineError(f"cannot tell what {path} is: expected a name ending in {', '.join(ENDINGS)}")
    return kind
