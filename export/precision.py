"""Number formats a graph can be exported in."""

from __future__ import annotations

from enum import Enum
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from efdn.errors import ExportError


class Precision(str, Enum):
    """Type of weights and activations inside an exported graph."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of the graph's constants."""
        return _DTYPES[self]

    @property
    def tensor_type(self) -> TensorProto.DataType:
        """The ONNX type of the graph's tensors."""
        return _TENSOR_TYPES[self]

    @property
    def largest(self) -> float:
        """The largest number it can hold."""
        return float(ml_dtypes.finfo(self.dtype).max)  # type: ignore[no-untyped-call]

    @property
    def half(self) -> bool:
        """Whether a value takes two bytes."""
        return self is not Precision.FP32


_DTYPES: dict[Precision, np.dtype[Any]] = {
    Precision.FP32: np.dtype(np.float32),
    Precision.FP16: np.dtype(np.float16),
    Precision.BF16: np.dtype(ml_dtypes.bfloat16),
}

_TENSOR_TYPES: dict[Precision, TensorProto.DataType] = {
    Precision.FP32: TensorProto.FLOAT,
    Precision.FP16: TensorProto.FLOAT16,
    Precision.BF16: TensorProto.BFLOAT16,
}


def to_precision(name: str, values: NDArray[np.floating], precision: Precision) -> NDArray[Any]:
    """Rounds weights to the type of the graph.

    Raises:
        ExportError: a value is beyond the largest of that type; `name` tells which tensor.
    """
    largest = float(np.abs(values).max(initial=0.0))
    limit = precision.largest
    if not largest <= limit:
        raise ExportError(f"{name} reaches {largest:.3g}, beyond {precision.value}'s {limit:.5g}: export with --fp32")
    return np.ascontiguousarray(values, dtype=precision.dtype)
