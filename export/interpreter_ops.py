"""What each ONNX operator computes, as a PyTorch function.

A function takes a node's inputs by position, None where one is left out, and its
attributes by name: what it has no parameter for is refused by Python, never
ignored. `export.interpreter` names the node when a function raises.

Every operator on a half-width type is computed in float32 and rounded once, as
accelerators that accumulate in float32 do. PyTorch does so itself for the
elementwise ones; `_rounded_once` sees to the others, for which PyTorch's own way
depends on the processor and can take dozens of times longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce, wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from export import interpreter_layout as layout
from export.interpreter_layout import require_one_type

Operator = Callable[..., Tensor | Sequence[Tensor]]


def _rounded_once(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Computes half-width inputs in float32 and rounds the result, once, to their type."""

    @wraps(operator)
    def rounded(x: Tensor, *others: Tensor | None, **attributes: Any) -> Tensor:
        require_one_type(value for value in (x, *others) if value is not None and value.is_floating_point())
        if x.dtype not in (torch.float16, torch.bfloat16):
            return operator(x, *others, **attributes)
        wide = [value.float() if value is not None and value.dtype == x.dtype else value for value in others]
        return operator(x.float(), *wide, **attributes).to(x.dtype)

    return rounded


def _from_left(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Combines any number of inputs from left to right, broadcasting."""

    def combined(*tensors: Tensor) -> Tensor:
        require_one_type(tensors)
        return reduce(combine, tensors)

    return combined


def _padded(x: Tensor, pads: Sequence[int], value: float) -> Tensor:
    """Pads (N, C, H, W) by ONNX's (top, left, bottom, right)."""
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


@_rounded_once
def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int] | None = None,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
) -> Tensor:
    if kernel_shape is not None and tuple(kernel_shape) != tuple(weight.shape[2:]):
        raise ValueError(f"expected weights of kernel_shape {tuple(kernel_shape)}, got {tuple(weight.shape)}")
    x = _padded(x, pads, 0.0)
    return F.conv2d(x, weight, bias, stride=tuple(strides), dilation=tuple(dilations), groups=group)


def _max_pool(
    x: Tensor, *, kernel_shape: Sequence[int], strides: Sequence[int] = (1, 1), pads: Sequence[int] = (0, 0, 0, 0)
) -> Tensor:
    return F.max_pool2d(_padded(x, pads, -torch.inf), tuple(kernel_shape), tuple(strides))


@_rounded_once
def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    return F.gelu(x, approximate=approximate)


@_rounded_once
def _leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    return F.leaky_relu(x, alpha)


@_rounded_once
def _resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
) -> Tensor:
    if mode != "linear" or coordinate_transformation_mode != "half_pixel":
        raise ValueError(f"expected mode linear and half_pixel, got {mode} and {coordinate_transformation_mode}")
    if sizes is None or scales is not None or roi is not None:
        raise ValueError("expected sizes, and neither roi nor scales")
    batch, channels, height, width = sizes.tolist()
    if (batch, channels) != tuple(x.shape[:2]):
        raise ValueError(f"expected sizes that keep batch and channels {tuple(x.shape[:2])}, got {sizes.tolist()}")
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


@_rounded_once
def _reduce_sum(x: Tensor, axes: Tensor | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    over = [] if axes is None else axes.tolist()
    if not over and noop_with_empty_axes:
        return x
    return torch.sum(x, over or list(range(x.dim())), keepdim=bool(keepdims))


def _div(dividend: Tensor, divisor: Tensor) -> Tensor:
    return torch.div(dividend, divisor, rounding_mode=None if dividend.is_floating_point() else "trunc")


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    limits = [limit for limit in (low, high) if limit is not None]
    require_one_type([x, *limits])
    return torch.clamp(x, low, high) if limits else x


def _identity(x: Tensor) -> Tensor:
    return x


def _relu(x: Tensor) -> Tensor:
    return torch.relu(x)


def _round(x: Tensor) -> Tensor:
    return torch.round(x)


OPERATORS: dict[str, Operator] = {
    "Add": _from_left(torch.add),
    "Cast": layout.cast,
    "Clip": _clip,
    "Concat": layout.concat,
    "Constant": layout.constant,
    "Conv": _conv,
    "DepthToSpace": layout.depth_to_space,
    "Div": _from_left(_div),
    "Erf": _rounded_once(torch.erf),
    "Gather": layout.gather,
    "Gelu": _gelu,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MatMul": _rounded_once(torch.matmul),
    "Max": _from_left(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _from_left(torch.minimum),
    "Mul": _from_left(torch.mul),
    "Pad": layout.pad,
    "ReduceSum": _reduce_sum,
    "Relu": _relu,
    "Reshape": layout.reshape,
    "Resize": _resize,
    "Round": _round,
    "Shape": layout.shape,
    "Sigmoid": _rounded_once(torch.sigmoid),
    "Slice": layout.slice_axes,
    "Split": layout.split,
    "Squeeze": layout.squeeze,
    "Sub": _from_left(torch.sub),
    "Transpose": layout.transpose,
    "Unsqueeze": layout.unsqueeze,
}
"""Operators of ONNX's default domain, as of opset 17."""
