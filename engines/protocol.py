"""What every engine is: named inputs and outputs, and one call between them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from efdn.config import MIN_SIDE
from efdn.shapes import ShapeRange

Arrays = dict[str, NDArray[Any]]
INPUT, OUTPUT = "input", "output"
"""Names of the network's tensors in everything this toolkit writes."""

PICTURE_DTYPE = "uint8"
"""Of inputs and outputs that are pictures, (N, H, W, 3); all others are floats, (N, 3, H, W)."""

PICTURE_SIDES, FLOAT_SIDES = (1, 2), (2, 3)
"""Which axes are height and width."""

SelfEngine = TypeVar("SelfEngine", bound="Engine")


class Dim(NamedTuple):
    """Sizes that one dimension takes, ends included; a maximum of None is unbounded."""

    minimum: int
    maximum: int | None

    def accepts(self, size: int) -> bool:
        """Whether `size` is in range."""
        return size >= self.minimum and (self.maximum is None or size <= self.maximum)

    def __str__(self) -> str:
        if self.maximum == self.minimum:
            return str(self.minimum)
        return f"{self.minimum}.." if self.maximum is None else f"{self.minimum}..{self.maximum}"


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """An input or output.

    Attributes:
        name: as the engine knows it.
        dtype: NumPy name of the type.
        dims: sizes taken, or given, per dimension.
    """

    name: str
    dtype: str
    dims: tuple[Dim, ...]

    @property
    def picture(self) -> bool:
        """Whether it is an 8-bit picture, (N, H, W, 3), rather than floats, (N, 3, H, W)."""
        return self.dtype == PICTURE_DTYPE

    @property
    def side_axes(self) -> tuple[int, int]:
        """Which axes are height and width."""
        return PICTURE_SIDES if self.picture else FLOAT_SIDES


def shapes_of(spec: TensorSpec) -> tuple[ShapeRange, ...]:
    """The one range of pictures that an input's dimensions span."""
    low, high = ([getattr(spec.dims[axis], end) for axis in spec.side_axes] for end in ("minimum", "maximum"))
    most = None if None in high else (high[0], high[1])
    return (ShapeRange(min=(low[0], low[1]), opt=most or (low[0], low[1]), max=most),)


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What an engine runs.

    Attributes:
        name: of the model, for people.
        scale: magnification.
        data_range: value of white at input and output.
        smallest_side: smallest height or width that the network takes, in pixels; smaller pictures are mirrored.
    """

    name: str
    scale: int
    data_range: float
    smallest_side: int = MIN_SIDE


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """How long a part of a network takes in one run.

    Attributes:
        name: as the engine has it.
        kind: such as "Conv", or "" where the engine does not say.
        ms: milliseconds, a mean over runs.
    """

    name: str
    kind: str
    ms: float


class Engine(Protocol):
    """Runs a network. A context manager; closed engines must not be used.

    Attributes:
        name: as in the registry, such as "onnxruntime-cpu".
        detail: versions and device in a few words, for people.
        model: what it runs.
        inputs: the network's, in order.
        outputs: the network's, in order.
        shapes: sizes of pictures it takes, a range for each profile; tiles are to be fitted to them.
    """

    name: str
    detail: str
    model: ModelInfo
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    shapes: tuple[ShapeRange, ...]

    @abstractmethod
    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Runs the network once.

        Args:
            feeds: one C-contiguous array per input, of its dtype, within its dims.

        Returns:
            One array per output, owned by the caller.

        Raises:
            EngineError: the run failed.
            ShapeError: an input has a shape the engine does not take.
        """

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        """Mean times of the network's parts over some runs, in the order of execution; none where they are not told.

        Measuring them slows the runs down: their sum is more than a run takes otherwise.
        """
        return ()

    def close(self) -> None:
        """Frees what the engine holds. May be called twice."""
        return  # Said outright, or type checkers take an empty method of a protocol for an abstract one.

    def __enter__(self: SelfEngine) -> SelfEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Timestamp(Protocol):
    """A point in time on a device's stream, readable once the device has passed it."""

    def ms_since(self, earlier: Timestamp) -> float:
        """Milliseconds from `earlier`, of the same device, to this one."""


@runtime_checkable
class StagedEngine(Engine, Protocol):
    """An engine on a device, whose run can be taken apart so that each stage is timed by itself.

    `infer` is `bind`, `upload`, `enqueue`, `download`, `wait`, `collect`. All but `wait` may return before the
    device is done. Not to be called from several threads at once, unlike `infer`, which guards itself.

    Attributes:
        guard: held while the engine runs.
    """

    guard: Lock

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        with self.guard:
            self.bind(feeds)
            self.upload()
            self.enqueue()
            self.download()
            self.wait()
            return self.collect()

    @abstractmethod
    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        """Checks inputs, readies buffers for their shapes and copies the inputs to where the device fetches them."""

    @abstractmethod
    def upload(self) -> None:
        """Copies the inputs to the device."""

    @abstractmethod
    def enqueue(self) -> None:
        """Starts the network."""

    @abstractmethod
    def download(self) -> None:
        """Copies the outputs from the device."""

    @abstractmethod
    def wait(self) -> None:
        """Returns once the device is done."""

    @abstractmethod
    def collect(self) -> Arrays:
        """The outputs of the last run, as `infer` gives them."""

    @abstractmethod
    def mark(self) -> Timestamp:
        """Records a point in time on the engine's stream."""

    @abstractmethod
    def device_memory(self) -> DeviceMemory:
        """What the device has and has left, all processes on it together."""


class DeviceMemory(NamedTuple):
    """Bytes of a device's memory."""

    free: int
    total: int
