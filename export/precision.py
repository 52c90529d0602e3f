"""Number formats a graph can be exported in. Without onnx too, for those who only build engines from files."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
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
        if self is Precision.BF16:
            import ml_dtypes

            bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
            return bfloat16
        return np.dtype(np.float16 if self.half else np.float32)

    @property
    def tensor_type(self) -> TensorProto.DataType:
        """The ONNX type of the graph's tensors."""
        from onnx import TensorProto

        names = {Precision.FP32: "FLOAT", Precision.FP16: "FLOAT16", Precision.BF16: "BFLOAT16"}
        value: TensorProto.DataType = TensorProto.DataType.Value(names[self])
        return value

    @property
    def largest(self) -> float:
        """The largest number it can hold."""
        import ml_dtypes

        return float(ml_dtypes.finfo(self.dtype).max)  # type: ignore[no-untyped-call]

    @property
    def half(self) -> bool:
        """Whether a value takes two bytes."""
        return self is not Precision.FP32


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
