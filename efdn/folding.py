"""From the training form to the deploy form: every BatchNorm folded into its neighbours.

Pure functions: a new network is returned, the argument stays as it was.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from efdn.copying import copied
from efdn.deploy import DeployBlock, DeployEFDN
from efdn.gate import Gate
from efdn.mixers import FoldedMixer
from efdn.mixing import interleaved_groups
from efdn.network import EFDN, Block, TokenMixer

SMALLEST_SCALE = 2.0**-10
"""Norm scales below this stay a multiplication: dividing by them would leave the range of half precision."""


def fold_batch_norms(network: EFDN) -> DeployEFDN:
    """Folds every BatchNorm into what stands before or after it.

    Args:
        network: any EFDN; its running statistics are used.

    Returns:
        A network of the same dtype without norms, channels in the published order.
    """
    own = copied(network).eval().requires_grad_(False)
    fusion, _, refine = own.body_tail
    return DeployEFDN(
        own.config,
        head=own.head,
        body=[_fold_block(cast(Block, block)) for block in own.body],
        fusion=cast(nn.Conv2d, fusion),
        refine=refine,
        tail=cast(nn.Conv2d, own.tail[0]),
        head_repeats=own.config.num_times,
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
    return FoldedMixer(slope, offset)


def _fold_block(block: Block) -> DeployBlock:
    """Moves the block norm's scale into the fusion, and out of the attention's view of it."""
    scale, offset = affine_of_norm(block.norm)
    carried = torch.where(scale.abs() >= SMALLEST_SCALE, scale, torch.ones_like(scale))
    gain = scale / carried
    fusion, gate = copied(block.c5), Gate(copied(block.esa))
    fusion.weight.mul_(carried.view(-1, 1, 1, 1))
    bias_of(fusion).mul_(carried)
    gate.head.weight.div_(carried.view(1, -1, 1, 1))
    return DeployBlock(
        [_fold_mixer(mixer) for mixer in (block.c1_r, block.c2_r, block.c3_r)],
        [block.c1_d, block.c2_d, block.c3_d, block.c4_r],
        fusion,
        gate,
        gain=None if bool((gain == 1).all()) else gain,
        scale=scale,
        offset=offset,
    )


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    assert conv.bias is not None
    return conv.bias
