"""What every engine is: named inputs and outputs, and one call between them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from numpy.typing import NDArray

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


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What an engine runs.

    Attributes:
        name: of the model, for people.
        scale: magnification.
        data_range: value of white at input and output.
    """

    name: str
    scale: int
    data_range: float


class Engine(Protocol):
    """Runs a network. A context manager; closed engines must not be used.

    Attributes:
        name: as in the registry, such as "onnxruntime-cpu".
        detail: versions and device in a few words, for people.
        model: what it runs.
        inputs: the network's, in order.
        outputs: the network's, in order.
    """

    name: str
    detail: str
    model: ModelInfo
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

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

    def close(self) -> None:
        """Frees what the engine holds. May be called twice."""
        return  # Said outright, or type checkers take an empty method of a protocol for an abstract one.

    def __enter__(self: SelfEngine) -> SelfEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
