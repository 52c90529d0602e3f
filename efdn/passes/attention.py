"""Passes on the spatial attention: what it reads, and where its convolutions stand."""

from __future__ import annotations

import torch
from torch import nn

from efdn.copying import copied
from efdn.deploy import DeployBlock, DeployEFDN
from efdn.folding import bias_of
from efdn.gate import Gate
from efdn.passes.linear import composed, conv_of, matrix, merged, pointwise


def merge_narrow_bsconvs(network: DeployEFDN) -> DeployEFDN:
    """Merges the halves of the separable convolutions of head and attentions into dense 3x3 convolutions.

    With 3 or 11 channels to read, one dense convolution costs less than a map
    written and read in between.
    """
    result = copied(network)
    result.head = merged(result.head)
    for block in result.blocks:
        block.gate.stride = merged(block.gate.stride)
        block.gate.group = nn.Sequential(*map(merged, block.gate.group))
    return result


def read_branches(network: DeployEFDN) -> DeployEFDN:
    """Lets the attention read the branches: its first 1x1 times the fusion is one 1x1.

    The attention no longer waits for the fusion, whose result can then be gated where
    it is made. The fusion also takes the last of the norm's scale, zero or not, since
    nobody else reads it.
    """
    result = copied(network)
    for block in result.blocks:
        block.gate.head = composed(block.gate.head, block.fusion)
        block.gate_reads_branches = True
        if block.gain is not None:
            block.fusion.weight.mul_(block.gain.view(-1, 1, 1, 1))
            bias_of(block.fusion).mul_(block.gain)
            block.gain = None
    return result


def join_skip(network: DeployEFDN) -> DeployEFDN:
    """Lets the attention's tail read concat(coarse, head), the skip's 1x1 multiplied into it."""
    result = copied(network)
    for block in result.blocks:
        gate = block.gate
        skip, tail = _skip_and_tail(gate)
        weight = torch.cat((matrix(tail), matrix(tail) @ matrix(skip)), dim=1)
        gate.tail = pointwise(weight, matrix(tail) @ bias_of(skip) + bias_of(tail))
        gate.skip = None
    return result


def lower_tail(network: DeployEFDN) -> DeployEFDN:
    """Applies the attention's tail before the resize, on a map a fortieth of the size.

    Bilinear weights sum to one, so that a 1x1 and a resize can change places. The tail
    goes into the last convolution of the coarse map, which takes all biases too, and
    into the skip.
    """
    result = copied(network)
    for block in result.blocks:
        gate = block.gate
        skip, tail = _skip_and_tail(gate)
        last = gate.group[-1]
        assert isinstance(last, nn.Conv2d)
        weight = torch.einsum("oc,cikl->oikl", matrix(tail), last.weight)
        bias = matrix(tail) @ (bias_of(last) + bias_of(skip)) + bias_of(tail)
        gate.group[-1] = conv_of(weight, bias)
        gate.skip, gate.tail = pointwise(matrix(tail) @ matrix(skip)), None
    return result


def skip_terms(network: DeployEFDN) -> DeployEFDN:
    """Writes the attention's skip as a sum of channels times weights, which fuses with resize, sigmoid and sum."""
    result = copied(network)
    for block in result.blocks:
        block.gate.skip_terms = True
    return result


def _skip_and_tail(gate: Gate) -> tuple[nn.Conv2d, nn.Conv2d]:
    assert gate.skip is not None
    assert gate.tail is not None
    return gate.skip, gate.tail


def branch_channels(block: DeployBlock) -> int:
    """Channels of one branch."""
    return block.fusion.in_channels // 4
