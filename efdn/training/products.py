"""1x1 convolutions as batched matrix products on maps that stay as they are.

oneDNN reorders maps of 45 or 22 channels before each 1x1 convolution and after it; on
the CPU that costs more than the arithmetic. PyTorch's own differentiation of
`matmul` with a broadcast weight copies the map, too, hence the gradient written out here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """1x1 convolution.

    Args:
        x: (N, C, H, W).
        weight: (O, C) or (O, C, 1, 1).
        bias: (O,), or None.

    Returns:
        (N, O, H, W).
    """
    own_bias = None if bias is None else bias[None]
    product = grouped_pointwise(x.flatten(2)[:, None], weight.flatten(1)[None], own_bias)
    return product.view(len(x), -1, *x.shape[-2:])


def grouped_pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """1x1 convolutions of several maps, each with its own weights.

    Args:
        x: (N, G, C, P), P pixels.
        weight: (G, O, C).
        bias: (G, O), or None.

    Returns:
        (N, G, O, P).
    """
    product: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        n = len(x)
        factors, maps = _repeated(weight, n), x.flatten(0, 1)
        if bias is None:
            product = torch.bmm(factors, maps)
        else:
            product = torch.baddbmm(_repeated(bias[..., None], n), factors, maps)
        return product.view(*x.shape[:2], *product.shape[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        flat, maps = grad.flatten(0, 1), x.flatten(0, 1)
        grad_x = torch.bmm(_repeated(weight.transpose(1, 2), len(x)), flat).view_as(x)
        grad_weight = torch.bmm(flat, maps.transpose(1, 2)).view(len(x), *weight.shape).sum(0)
        return grad_x, grad_weight, grad.sum(dim=(0, 3)) if ctx.has_bias else None


def _repeated(values: Tensor, times: int) -> Tensor:
    """(G, ...) as (times * G, ...)."""
    return values.expand(times, *values.shape).flatten(0, 1)
