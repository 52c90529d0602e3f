"""What Triton is told of a model: its `config.pbtxt`.

The fields and their meaning are those of Triton's `model_config.proto`; the tests parse
what is written here with the classes that Triton's client package has of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from efdn.errors import UsageError
from efdn.version import __version__
from export.triton.text_format import Message, Symbol, Value

FREE = -1
"""A dimension that takes any size."""


class Kind(str, Enum):
    """Where instances of a model run."""

    AUTO = "KIND_AUTO"
    """On every GPU where the backend finds one, else on the CPU."""
    GPU = "KIND_GPU"
    CPU = "KIND_CPU"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or an output.

    Attributes:
        name: as the model file has it.
        data_type: Triton's name of it, such as "TYPE_UINT8".
        dims: without the batch where Triton batches; `FREE` for any size.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]

    @property
    def message(self) -> Message:
        """As `ModelInput` and `ModelOutput`."""
        return Message(("name", self.name), ("data_type", Symbol(self.data_type)), ("dims", self.dims))


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """A request that each instance answers before the model counts as ready.

    Attributes:
        batch: pictures in it; 1 where Triton knows of no batch.
        dims: of the input, nothing free.
    """

    batch: int
    dims: tuple[int, ...]

    def message(self, tensor: Tensor) -> Message:
        """As `ModelWarmup`, of random values."""
        name = f"{self.batch} of {'x'.join(map(str, self.dims))}"
        value = Message(("data_type", Symbol(tensor.data_type)), ("dims", self.dims), ("random_data", True))
        inputs = Message(("key", tensor.name), ("value", value))
        return Message(("name", name), ("batch_size", self.batch), ("inputs", inputs))


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A model as Triton is to serve it.

    Attributes:
        name: under which it is called, and of its folder.
        backend: "onnxruntime" or "tensorrt".
        file: name of the model file.
        max_batch: most pictures in a batch; 0 where the model file takes one and no other number.
        inputs: of the model file.
        outputs: of the model file.
        kind: where it runs.
        instances: how many run there at once, on each GPU.
        profiles: of a TensorRT engine, all that are to be used; Triton takes only the first unless told.
        warm_ups: what is run before the model is ready.
        threads: of an instance on the CPU; all cores if None.
    """

    name: str
    backend: str
    file: str
    max_batch: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    kind: Kind = Kind.AUTO
    instances: int = 1
    profiles: tuple[int, ...] = ()
    warm_ups: tuple[WarmUp, ...] = ()
    threads: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)

    def __str__(self) -> str:
        return f"# Written by efdn {__version__}.\n{self.message}"

    @property
    def message(self) -> Message:
        """As `ModelConfig` of `model_config.proto`."""
        fields: list[tuple[str, Value]] = [
            ("name", self.name),
            ("backend", self.backend),
            ("default_model_filename", self.file),
            ("max_batch_size", self.max_batch),
        ]
        fields += [("input", tensor.message) for tensor in self.inputs]
        fields += [("output", tensor.message) for tensor in self.outputs]
        fields.append(("instance_group", self._instances()))
        if self.max_batch > 1:
            fields.append(("dynamic_batching", Message()))
        if self.threads is not None:
            text = Message(("string_value", str(self.threads)))
            fields.append(("parameters", Message(("key", "intra_op_thread_count"), ("value", text))))
        fields += [("model_warmup", warm_up.message(self.inputs[0])) for warm_up in self.warm_ups]
        return Message(*fields)

    def _instances(self) -> Message:
        profiles = [("profile", str(number)) for number in self.profiles]
        return Message(("count", self.instances), ("kind", Symbol(self.kind.value)), *profiles)


def check_name(name: str) -> None:
    """Raises UsageError for a name that does not do as a folder's and in a URL."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name) or name.endswith(".json"):
        raise UsageError(
            "a model's name has letters, digits, _, - and ., at most 100 of them, and does not end in .json, "
            f"got {name!r}"
        )
