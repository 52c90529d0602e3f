"""From the training form to the deploy form: pure functions, one transform each.

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
from efdn.layers import BSConv, SpatialAttention
from efdn.mixing import grouping_permutation, interleaved_groups
from efdn.network import EFDN, Block, TokenMixer

SMALLEST_SCALE = 2.0**-10
"""Norm scales below this stay a multiplication: dividing by them would leave the range of half precision."""


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


def fold_batch_norms(network: EFDN) -> DeployEFDN:
    """Folds every BatchNorm into what stands before or after it.

    Args:
        network: any EFDN; its running statistics are used.

    Returns:
        A network of the same dtype without norms, channels in the published order.
    """
    own = copy.deepcopy(network).eval().requires_grad_(False)
    fusion, _, refine = own.body_tail
    return DeployEFDN(
        own.config,
        head=own.head,
        body=[_fold_block(cast(Block, block)) for block in own.body],
        fusion=cast(nn.Conv2d, fusion),
        refine=cast(BSConv, refine),
        tail=cast(nn.Conv2d, own.tail[0]),
        head_repeats=own.config.num_times,
        grouped=False,
    ).eval()


def affine_of_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """(scale, offset), both (C,), such that the norm in eval mode is `scale * x + offset`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _fold_mixer(mixer: TokenMixer) -> FoldedMixer:
    slope, offset = affine_of_norm(mixer.norm)
    # The last group does not move, so its difference is exactly zero whatever the slope. Trained
    # networks have slopes of gamma / sqrt(eps) = 300 there, which low precision must not see.
    still = interleaved_groups(len(slope))[-1]
    slope = slope.clone()
    slope[still] = 0
    return FoldedMixer(slope, offset, grouped=False)


def _fold_block(block: Block) -> DeployBlock:
    """Moves the block norm's scale into the fusion, and out of the attention's view of it."""
    scale, offset = affine_of_norm(block.norm)
    carried = torch.where(scale.abs() >= SMALLEST_SCALE, scale, torch.ones_like(scale))
    gain = scale / carried
    fusion, attention = copy.deepcopy(block.c5), copy.deepcopy(block.esa)
    fusion.weight.mul_(carried.view(-1, 1, 1, 1))
    _bias(fusion).mul_(carried)
    attention.head_conv.weight.div_(carried.view(1, -1, 1, 1))
    return DeployBlock(
        [_fold_mixer(mixer) for mixer in (block.c1_r, block.c2_r, block.c3_r)],
        [block.c1_d, block.c2_d, block.c3_d, block.c4_r],
        fusion,
        attention,
        gain=None if bool((gain == 1).all()) else gain,
        scale=scale,
        offset=offset,
    )


def sum_head_repeats(network: DeployEFDN) -> DeployEFDN:
    """Sums the head's weights over the repeats of its input, so that it reads plain RGB."""
    result = copy.deepcopy(network)
    pointwise = network.head.pw.weight
    summed = pointwise.reshape(-1, network.head_repeats, 3, 1, 1).sum(dim=1)
    result.head.pw = _pointwise(summed, None)
    result.head_repeats = 1
    return result


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
        folded.slope, folded.offset, folded.grouped = folded.slope[order], folded.offset[order], True
    for branch in block.branches:
        conv = cast(nn.Conv2d, branch)
        conv.weight = _frozen(conv.weight[:, order])
    _permute_conv_outputs(block.fusion, order)
    attention: SpatialAttention = block.attention
    attention.head_conv.weight = _frozen(attention.head_conv.weight[:, order])
    _permute_conv_outputs(attention.tail_conv, order)
    block.gain = None if block.gain is None else block.gain[order]
    block.scale, block.offset = block.scale[order], block.offset[order]


def _permute_outputs(conv: BSConv, order: Tensor) -> None:
    """Permutes the outputs of both halves: the depthwise one reads and writes the same channels."""
    conv.pw.weight = _frozen(conv.pw.weight[order])
    _permute_conv_outputs(conv.dw, order)


def _permute_conv_outputs(conv: nn.Conv2d, order: Tensor) -> None:
    conv.weight = _frozen(conv.weight[order])
    conv.bias = _frozen(_bias(conv)[order])


def _pointwise(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight = _frozen(weight)
    if bias is not None:
        conv.bias = _frozen(bias)
    return conv


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)


DEPLOY_TRANSFORMS: tuple[Callable[[DeployEFDN], DeployEFDN], ...] = (sum_head_repeats, group_channels)
"""What follows the folding of norms, in order."""
