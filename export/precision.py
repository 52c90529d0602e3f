"""Number formats a graph can be exported in."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ExportError


class Precision(str, Enum):
    """Type of weights and activations inside an exported graph."""

    FP32 = "fp32"
    FP16 = "fp16"

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The NumPy type of the graph's constants."""
        return np.dtype(np.float32 if self is Precision.FP32 else np.float16)


def to_precision(name: str, values: NDArray[np.floating], precision: Precision) -> NDArray[np.floating]:
    """Rounds weights to the type of the graph.

    Raises:
        ExportError: a value is beyond the largest of that type; `name` tells which tensor.
    """
    largest = float(np.abs(values).max(initial=0.0))
    limit = float(np.finfo(precision.dtype).max)
    if not largest <= limit:
        raise ExportError(f"{name} reaches {largest:.3g}, beyond {precision.value}'s {limit:.5g}: export with --fp32")
    return np.ascontiguousarray(values, dtype=precision.dtype)
