"""Transforms of the deploy form: pure functions, one transform each.

Every function returns a new network and leaves its argument as it was. All keep
the function computed, up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from efdn.deploy import DeployBlock, DeployEFDN, FoldedMixer
from efdn.folding import bias_of, fold_batch_norms
from efdn.layers import BSConv, SpatialAttention
from efdn.mixing import grouping_permutation
from efdn.network import EFDN


def deploy_network(network: EFDN) -> DeployEFDN:
    """The form of a trained network that is exported.

    Folds in float64, so that only the final rounding is left, and returns the
    dtype and device that came.

    Args:
        network: any EFDN, in whatever mode; its running statistics are used.
    """
    like = network.head.pw.weight
    folded = fold_batch_norms(copy.deepcopy(network).double())
    for transform in DEPLOY_TRANSFORMS:
        folded = transform(folded)
    return folded.to(dtype=like.dtype, device=like.device).eval().requires_grad_(False)


def sum_head_repeats(network: DeployEFDN) -> DeployEFDN:
    """Sums the head's weights over the repeats of its input, so that it reads plain RGB."""
    result = copy.deepcopy(network)
    reading = _reading_conv(result.head)
    summed = reading.weight.unflatten(1, (network.head_repeats, 3)).sum(dim=1)  # type: ignore[no-untyped-call]
    reading.weight, reading.in_channels = _frozen(summed), 3
    result.head_repeats = 1
    return result


def merge_narrow_bsconvs(network: DeployEFDN) -> DeployEFDN:
    """Merges the pointwise and depthwise halves of the head and of the attentions into dense 3x3 convolutions.

    With 3 or 11 channels to read, one dense convolution costs less than a map
    written and read in between. Exact at the borders too: the pointwise half has no
    bias, so what the depthwise half pads with stays zero. The trunk's own separable
    convolution, at 45 channels, is left as it is.
    """
    result = copy.deepcopy(network)
    result.head = _merged(result.head)
    for module in result.body:
        attention: SpatialAttention = cast(DeployBlock, module).attention
        attention.stride_conv = _merged(attention.stride_conv)
        attention.group_conv = nn.Sequential(*map(_merged, attention.group_conv))
    return result


def _merged(conv: nn.Module) -> nn.Module:
    """A BSConv as one dense convolution; anything else as it is."""
    if not isinstance(conv, BSConv):
        return conv
    weight = conv.dw.weight * conv.pw.weight.view(conv.pw.out_channels, conv.pw.in_channels, 1, 1)
    dense = nn.Conv2d(conv.pw.in_channels, conv.dw.out_channels, 3, conv.dw.stride[0], 1)
    dense.weight, dense.bias = _frozen(weight), _frozen(bias_of(conv.dw))
    return dense


LARGEST_TRUNK_SCALE = 2.0**6
"""How far from one a channel of the trunk may be scaled before half precision would suffer."""


def carry_scaled_trunk(network: DeployEFDN) -> DeployEFDN:
    """Takes the scale and offset out of every residual: `u + gated` instead of `scale * x + offset + gated`.

    The trunk is carried as `x = A * u + B` per channel, with A and B gathered from
    block to block and folded into what reads it. Circular shifts let a constant
    through, so that the mixing is no obstacle. A block whose A would leave
    1/64..64, for a norm scale near zero, keeps its residual and starts anew.
    """
    result = copy.deepcopy(network)
    like = result.fusion.weight
    scale = torch.ones(network.config.planes, dtype=like.dtype, device=like.device)
    offset = torch.zeros_like(scale)
    read_scale, read_offset = [], []
    for module in result.body:
        scale, offset = _carry_through_block(cast(DeployBlock, module), scale, offset)
        read_scale.append(scale)
        read_offset.append(offset)
    _read_affinely(result.fusion, torch.cat(read_scale), torch.cat(read_offset))
    return result


def _carry_through_block(block: DeployBlock, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Folds `scale * u + offset` into what reads it; returns the same pair for the block's output."""
    first = cast(FoldedMixer, block.mixers[0])
    first.offset = first.offset + first.total * offset
    first.slope, first.total = first.slope * scale, first.total * scale
    _read_affinely(cast(nn.Conv2d, block.branches[0]), scale, offset)
    assert block.scale is not None
    assert block.offset is not None
    next_scale, next_offset = block.scale * scale, block.scale * offset + block.offset
    magnitude = next_scale.abs()
    if bool(((magnitude < 1 / LARGEST_TRUNK_SCALE) | (magnitude > LARGEST_TRUNK_SCALE)).any()):
        block.scale, block.offset = next_scale, next_offset
        return torch.ones_like(scale), torch.zeros_like(offset)
    factor = (1 if block.gain is None else block.gain) / next_scale
    block.fusion.weight.mul_(factor.view(-1, 1, 1, 1))
    bias_of(block.fusion).mul_(factor)
    block.attention.head_conv.weight.div_(factor.view(1, -1, 1, 1))
    block.gain = block.scale = block.offset = None
    return next_scale, next_offset


def _read_affinely(conv: nn.Conv2d, scale: Tensor, offset: Tensor) -> None:
    """Makes a pointwise convolution of x take u, where x = scale * u + offset."""
    bias_of(conv).add_(conv.weight.flatten(1) @ offset)
    conv.weight.mul_(scale.view(1, -1, 1, 1))


def group_channels(network: DeployEFDN) -> DeployEFDN:
    """Permutes the trunk's channels so that the mixing groups are contiguous and shifts are plain slices."""
    if network.grouped:
        return copy.deepcopy(network)
    result = copy.deepcopy(network)
    order = torch.tensor(grouping_permutation(network.config.planes))
    _permute_outputs(result.head, order)
    for module in result.body:
        _group_block(cast(DeployBlock, module), order)
    trunk_channels = torch.cat([order + start * len(order) for start in range(len(result.body))])
    result.fusion.weight = _frozen(result.fusion.weight[:, trunk_channels])
    _permute_outputs(result.refine, order)
    result.tail.weight = _frozen(result.tail.weight[:, order])
    result.grouped = True
    return result


def _group_block(block: DeployBlock, order: Tensor) -> None:
    for mixer in block.mixers:
        folded = cast(FoldedMixer, mixer)
        folded.slope, folded.total, folded.offset = folded.slope[order], folded.total[order], folded.offset[order]
        folded.grouped = True
    for branch in block.branches:
        conv = cast(nn.Conv2d, branch)
        conv.weight = _frozen(conv.weight[:, order])
    _permute_conv_outputs(block.fusion, order)
    attention: SpatialAttention = block.attention
    attention.head_conv.weight = _frozen(attention.head_conv.weight[:, order])
    _permute_conv_outputs(attention.tail_conv, order)
    for name in ("gain", "scale", "offset"):
        values = getattr(block, name)
        setattr(block, name, None if values is None else values[order])


def _reading_conv(conv: nn.Module) -> nn.Conv2d:
    """The convolution that reads the input: of a BSConv the pointwise half."""
    return conv.pw if isinstance(conv, BSConv) else cast(nn.Conv2d, conv)


def _permute_outputs(conv: nn.Module, order: Tensor) -> None:
    """Permutes the outputs of a convolution; of a BSConv both halves, for the depthwise one keeps channels apart."""
    if isinstance(conv, BSConv):
        conv.pw.weight = _frozen(conv.pw.weight[order])
        conv = conv.dw
    _permute_conv_outputs(cast(nn.Conv2d, conv), order)


def _permute_conv_outputs(conv: nn.Conv2d, order: Tensor) -> None:
    conv.weight = _frozen(conv.weight[order])
    conv.bias = _frozen(bias_of(conv)[order])


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)


DEPLOY_TRANSFORMS: tuple[Callable[[DeployEFDN], DeployEFDN], ...] = (
    sum_head_repeats,
    merge_narrow_bsconvs,
    carry_scaled_trunk,
    group_channels,
)
"""What follows the folding of norms, in order."""
