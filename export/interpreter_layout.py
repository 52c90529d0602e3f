"""The ONNX operators that move values without computing any, and the types of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, numpy_helper
from torch import Tensor

from efdn.errors import ExportError

TORCH_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT64: torch.int64,
}
"""Types that tensors can have."""


def torch_type(element_type: int) -> torch.dtype:
    """The type of a number of `TensorProto.DataType`.

    Raises:
        ExportError: it is not in `TORCH_TYPES`.
    """
    if element_type not in TORCH_TYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in TORCH_TYPES.values())
        raise ExportError(f"tensors must be {known}; got ONNX's type number {element_type}")
    return TORCH_TYPES[element_type]


def tensor_from_proto(proto: onnx.TensorProto) -> Tensor:
    """The values of an initializer or attribute, copied.

    Raises:
        ExportError: its type is not in `TORCH_TYPES`.
    """
    dtype = torch_type(proto.data_type)
    values = numpy_helper.to_array(proto)
    # NumPy has bfloat16 only through an extension; float32 holds its values exactly.
    return torch.tensor(values.astype(np.float32) if dtype is torch.bfloat16 else values).to(dtype)


def require_one_type(tensors: Iterable[Tensor]) -> None:
    """Raises ValueError where PyTorch would promote silently: ONNX has no promotion."""
    types = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors}
    if len(types) > 1:
        raise ValueError(f"expected inputs of one type, got {' and '.join(sorted(types))}")


def constant(
    *,
    value: Tensor | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Tensor:
    """Constant: exactly one attribute is given."""
    if value is not None:
        return value
    if value_float is not None or value_floats is not None:
        return torch.tensor(value_float if value_floats is None else value_floats, dtype=torch.float32)
    return torch.tensor(value_int if value_ints is None else value_ints, dtype=torch.int64)


def cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    """Cast; `saturate` concerns 8-bit floats alone. Beyond an integer type's range ONNX leaves the result open."""
    return x.to(torch_type(to))


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Shape: some or all sizes."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def reshape(x: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    """Reshape: 0 keeps a size unless `allowzero`, -1 takes what is left."""
    sizes = shape.tolist()
    return x.reshape(sizes if allowzero else [size or x.shape[axis] for axis, size in enumerate(sizes)])


def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """Transpose: reverses the axes unless told otherwise."""
    return x.permute(list(reversed(range(x.dim()))) if perm is None else list(perm))


def unsqueeze(x: Tensor, axes: Tensor) -> Tensor:
    """Unsqueeze: `axes` count in the result."""
    rank = x.dim() + axes.numel()
    return reduce(torch.unsqueeze, sorted(axis % rank for axis in axes.tolist()), x)


def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Squeeze: the axes given, or all of size 1."""
    if axes is None:
        return x.squeeze()
    if any(x.shape[axis] != 1 for axis in axes.tolist()):
        raise ValueError(f"expected axes of size 1, got axes {axes.tolist()} of {tuple(x.shape)}")
    return x.squeeze(tuple(axes.tolist()))


def concat(*tensors: Tensor, axis: int) -> Tensor:
    """Concat."""
    require_one_type(tensors)
    return torch.cat(tensors, axis)


def split(x: Tensor, split: Tensor | None = None, *, axis: int = 0, num_outputs: int) -> Sequence[Tensor]:
    """Split: sizes as given, or equal ones of which the last may be smaller."""
    return torch.split(x, -(-x.shape[axis] // num_outputs) if split is None else split.tolist(), axis)


def slice_axes(
    x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    """Slice: ranges are cut to the size, and may run backwards."""
    over = range(starts.numel()) if axes is None else axes.tolist()
    strides = [1] * starts.numel() if steps is None else steps.tolist()
    for axis, start, end, step in zip(over, starts.tolist(), ends.tolist(), strides, strict=True):
        taken = range(x.shape[axis])[start:end:step]
        if step > 0:
            x = x[(slice(None),) * (axis % x.dim()) + (slice(taken.start, taken.stop, step),)]
        else:  # PyTorch's own slices only run forwards
            x = x.index_select(axis, torch.tensor(taken, dtype=torch.int64))
    return x


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Gather: `indices` of any rank stand in for the axis; negative ones count from its end."""
    axis %= x.dim()
    flat = indices.reshape(-1)
    taken = x.index_select(axis, torch.where(flat < 0, flat + x.shape[axis], flat))
    return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def pad(
    x: Tensor, pads: Tensor, constant_value: Tensor | None = None, axes: Tensor | None = None, *, mode: str = "constant"
) -> Tensor:
    """Pad: all starts, then all ends, with a constant or with what stands at the other border."""
    if mode not in ("constant", "wrap"):
        raise ValueError(f"expected mode constant or wrap, got {mode}")
    over = range(x.dim()) if axes is None else axes.tolist()
    value = 0 if constant_value is None else constant_value.item()
    for axis, before, after in zip(over, *pads.reshape(2, -1).tolist(), strict=True):
        if mode == "constant":
            x = F.pad(x, (0, 0) * (x.dim() - 1 - axis % x.dim()) + (before, after), value=value)
        else:
            x = x.index_select(axis, torch.arange(-before, x.shape[axis] + after) % x.shape[axis])
    return x


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """DepthToSpace of (N, C, H, W): a pixel's channels become a block of pixels."""
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    batch, channels, height, width = x.shape
    planes = x.reshape(batch, blocksize**2, channels // blocksize**2, height, width)
    return F.pixel_shuffle(planes.transpose(1, 2).reshape(x.shape), blocksize)
