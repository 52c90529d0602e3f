"""The token mixers of a block in training form, as one differentiable step with its own gradient.

PyTorch's own differentiation of slices and concatenations makes some forty
passes over memory for each mixer; what follows makes eight. The channels must
have their mixing groups contiguous (see `efdn.mixing`).

With d = mix(x) - x, a mixer and its residual are `gelu(x + s * d + t)`,
s = gamma / sqrt(var(d) + eps), t = beta - mean(d) * s. The shifts are circular,
so the mean of d over a map is zero whatever x is; only its variance has to be
measured in training.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from efdn.mixing import SHIFTS, contiguous_groups

MIXERS = 3
"""Token mixers of a block."""


def mixer_chain(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float, *, measure: bool
) -> tuple[Tensor, Tensor]:
    """x, r1, r2, r3 of a block, each but the first `gelu(mixer(previous) + previous)`.

    Args:
        x: (N, C, H, W), groups contiguous.
        gamma: (3, C), scales of the norms.
        beta: (3, C), shifts of the norms.
        mean: (3, C), running means; used unless `measure`.
        var: (3, C), running variances; used unless `measure`.
        eps: of the norms.
        measure: whether to take the variance from the batch, as BatchNorm does in training.

    Returns:
        (N, 4, C, H, W), and the (3, C) variances that were used (biased).
    """
    return _MixerChain.apply(x, gamma, beta, mean, var, eps, measure)  # type: ignore[no-any-return,no-untyped-call]


class _MixerChain(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float, measure: bool
    ) -> tuple[Tensor, Tensor]:
        n, channels, height, width = x.shape
        stages = x.new_empty(n, MIXERS + 1, channels, height, width)
        stages[:, 0] = x
        used = torch.empty_like(var) if measure else var
        differences, sums = [], []
        for i in range(MIXERS):
            last = stages[:, i]
            d = difference(last)
            if measure:
                used[i] = d.square().mean(dim=(0, 2, 3))
            slope = gamma[i] * torch.rsqrt(used[i] + eps)
            offset = beta[i] if measure else beta[i] - mean[i] * slope
            y = torch.addcmul(_channels(offset), d, _channels(slope)).add_(last)
            # Not gelu's own out=: oneDNN's float32 kernel takes it for contiguous, whatever its strides (PyTorch 2.13).
            stages[:, i + 1] = F.gelu(y)
            differences.append(d)
            sums.append(y)
        ctx.save_for_backward(gamma, mean, used, *differences, *sums)
        ctx.eps, ctx.measure = eps, measure
        ctx.mark_non_differentiable(used)
        return stages, used

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gamma, mean, used = ctx.saved_tensors[:3]
        differences, sums = ctx.saved_tensors[3 : 3 + MIXERS], ctx.saved_tensors[3 + MIXERS :]
        grad_gamma, grad_beta = torch.empty_like(gamma), torch.empty_like(gamma)
        inverse = torch.rsqrt(used + ctx.eps)
        carried = grad[:, MIXERS]
        for i in reversed(range(MIXERS)):
            gy = torch.ops.aten.gelu_backward(carried, sums[i])
            total = gy.sum(dim=(0, 2, 3))
            d = differences[i]
            along = (gy * d).sum(dim=(0, 2, 3))
            grad_beta[i] = total
            grad_gamma[i] = inverse[i] * (along if ctx.measure else along - mean[i] * total)
            slope = gamma[i] * inverse[i]
            gd = gy * _channels(slope)
            if ctx.measure:
                # The variance depends on d, too.
                count = d.numel() // d.shape[1]
                gd.addcmul_(d, _channels(slope * along * inverse[i].square() / -count))
            carried = scatter_difference(gd, gy).add_(grad[:, i])
        return carried, grad_gamma, grad_beta, None, None, None, None


def difference(x: Tensor) -> Tensor:
    """`mix(x) - x`, for (N, C, H, W) with contiguous groups."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    for group, (dy, dx) in zip(contiguous_groups(x.shape[1]), SHIFTS, strict=True):
        source, target = x[:, group], out[:, group]
        if not (dy or dx):
            target.zero_()
            continue
        dim, step = (2, dy) if dy else (3, dx)
        for to, start in _pieces(x.shape[dim], step):
            length = to.stop - to.start
            torch.sub(
                source.narrow(dim, start, length),
                source.narrow(dim, to.start, length),
                out=target.narrow(dim, to.start, length),
            )
    return out


def scatter_difference(gradient: Tensor, base: Tensor) -> Tensor:
    """`base` plus the transpose of `difference` applied to `gradient`; overwrites neither.

    Args:
        gradient: (N, C, H, W), groups contiguous.
        base: same shape.
    """
    out = base - gradient
    for group, (dy, dx) in zip(contiguous_groups(gradient.shape[1]), SHIFTS, strict=True):
        source, target = gradient[:, group], out[:, group]
        if not (dy or dx):
            target.add_(source)
            continue
        dim, step = (2, dy) if dy else (3, dx)
        for to, start in _pieces(gradient.shape[dim], step):
            length = to.stop - to.start
            target.narrow(dim, start, length).add_(source.narrow(dim, to.start, length))
    return out


def _pieces(size: int, step: int) -> tuple[tuple[slice, int], tuple[slice, int]]:
    """Where a shift around the border writes, and from where it reads: the bulk, and the edge."""
    if step > 0:
        return (slice(0, size - 1), 1), (slice(size - 1, size), 0)
    return (slice(1, size), 0), (slice(0, 1), size - 1)


def _channels(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)
