"""The pass that frees residuals of their scale."""

from __future__ import annotations

import torch
from torch import Tensor

from efdn.copying import copied
from efdn.deploy import DeployBlock, DeployEFDN
from efdn.folding import bias_of
from efdn.passes.linear import read_affinely

LARGEST_TRUNK_SCALE = 2.0**6
"""How far from one a channel of the trunk may be scaled before half precision would suffer."""


def carry_scaled_trunk(network: DeployEFDN) -> DeployEFDN:
    """Takes the scale and offset out of every residual: `u + gated` instead of `scale * x + offset + gated`.

    The trunk is carried as `x = A * u + B` per channel, with A and B gathered from
    block to block and folded into what reads it. Circular shifts let a constant
    through, so that the mixing is no obstacle. A block whose A would leave
    1/64..64, for a norm scale near zero, keeps its residual and starts anew.
    """
    result = copied(network)
    scale = torch.ones_like(result.fusion.weight[0, : result.trunk_channels, 0, 0])
    offset = torch.zeros_like(scale)
    read_scale, read_offset = [], []
    for block in result.blocks:
        scale, offset = _carry_through_block(block, scale, offset)
        read_scale.append(scale)
        read_offset.append(offset)
    read_affinely(result.fusion, torch.cat(read_scale), torch.cat(read_offset))
    return result


def _carry_through_block(block: DeployBlock, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Folds `scale * u + offset` into what reads it; returns the same pair for the block's output."""
    first = block.mixing.folded[0]
    first.offset = first.offset + first.total * offset
    first.slope, first.total = first.slope * scale, first.total * scale
    read_affinely(block.branch_convs[0], scale, offset)
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
    if not block.gate_reads_branches:
        block.gate.head.weight.div_(factor.view(1, -1, 1, 1))
    block.gain = block.scale = block.offset = None
    return next_scale, next_offset
