"""Passes on the channels: their order, their number, and the branches that read them."""

from __future__ import annotations

import torch
from torch import nn

from efdn.copying import copied
from efdn.deploy import DeployBlock, DeployEFDN
from efdn.folding import bias_of
from efdn.gate import Gate
from efdn.mixing import contiguous_groups, grouping_permutation
from efdn.passes.attention import branch_channels
from efdn.passes.linear import (
    Layout,
    conv_of,
    lay_out_inputs,
    lay_out_outputs,
    padded_layout,
    reordered,
)


def group_channels(network: DeployEFDN) -> DeployEFDN:
    """Permutes the trunk's channels so that the mixing groups are contiguous and shifts are plain slices."""
    result = copied(network)
    if network.grouped:
        return result
    channels = network.trunk_channels
    _lay_out_trunk(result, reordered(grouping_permutation(channels)))
    for block in result.blocks:
        for mixer in block.mixing.folded:
            mixer.groups = contiguous_groups(channels)
    return result


def pad_channels(network: DeployEFDN) -> DeployEFDN:
    """Fills up 45 / 22 / 11 channels to 48 / 24 / 12 with zeros.

    Half-precision kernels read eight channels at a time; for odd counts TensorRT
    inserts copies. The trunk's new channels join the group that does not move.
    """
    result = copied(network)
    channels = network.trunk_channels
    trunk = padded_layout(channels, _multiple(channels, 8))
    _lay_out_trunk(result, trunk)
    for block in result.blocks:
        _pad_branches(block)
        _pad_gate(block.gate)
        for mixer in block.mixing.folded:
            assert mixer.groups is not None
            mixer.groups = (*mixer.groups[:-1], slice(mixer.groups[-1].start, trunk.size))
    return result


def join_branches(network: DeployEFDN) -> DeployEFDN:
    """Makes the four 1x1 branches one convolution of four groups over concat(x, r1, r2, r3)."""
    result = copied(network)
    for block in result.blocks:
        convs = block.branch_convs
        weight = torch.cat([conv.weight for conv in convs])
        block.branches = nn.ModuleList([conv_of(weight, torch.cat([*map(bias_of, convs)]), groups=len(convs))])
    return result


def wrap_once(network: DeployEFDN) -> DeployEFDN:
    """Continues the borders once per block, by three pixels, instead of in each of its mixers."""
    result = copied(network)
    for block in result.blocks:
        block.mixing.wrap_once = True
    return result


def convolve_mixers(network: DeployEFDN) -> DeployEFDN:
    """Makes every mixer a circular pad and a depthwise convolution with two taps a channel."""
    result = copied(network)
    for block in result.blocks:
        for mixer in block.mixing.folded:
            mixer.taps = mixer.kernel
    return result


def add_up_branches(network: DeployEFDN) -> DeployEFDN:
    """Makes a block's fusion a sum of four convolutions, each over one branch that is activated and cropped alone."""
    result = copied(network)
    for block in result.blocks:
        block.add_up = True
        block.mixing.keep_margins = block.mixing.wrap_once
    return result


def add_up_blocks(network: DeployEFDN) -> DeployEFDN:
    """Adds what the tail reads of every block as soon as the block is done, and keeps none of their outputs."""
    result = copied(network)
    result.add_up = True
    return result


def _multiple(count: int, of: int) -> int:
    """The smallest multiple that is not below `count`."""
    return -(-count // of) * of


def _lay_out_trunk(network: DeployEFDN, layout: Layout) -> None:
    """Moves the trunk's channels in everything that writes or reads them."""
    channels = network.trunk_channels
    lay_out_outputs(network.head, layout)
    for block in network.blocks:
        _lay_out_trunk_of_block(block, layout)
    runs = range(len(network.blocks))
    every = tuple(run * layout.size + position for run in runs for position in layout.positions)
    lay_out_inputs(network.fusion, Layout(positions=every, size=layout.size * len(runs)))
    assert len(layout.positions) == channels
    # Between fusion and refinement too, so that all maps of that width have one order.
    lay_out_outputs(network.fusion, layout)
    lay_out_inputs(network.refine, layout)
    lay_out_outputs(network.refine, layout)
    lay_out_inputs(network.tail, layout)


def _lay_out_trunk_of_block(block: DeployBlock, layout: Layout) -> None:
    for mixer in block.mixing.folded:
        mixer.slope = layout.spread(mixer.slope, 0)
        mixer.total = layout.spread(mixer.total, 0, fill=1)
        mixer.offset = layout.spread(mixer.offset, 0)
    for branch in block.branch_convs:
        lay_out_inputs(branch, layout)
    lay_out_outputs(block.fusion, layout)
    gate = block.gate
    if not block.gate_reads_branches:
        lay_out_inputs(gate.head, layout)
    if gate.tail is None:
        assert gate.skip is not None
        lay_out_outputs(gate.group[-1], layout)
        lay_out_outputs(gate.skip, layout)
    else:
        lay_out_outputs(gate.tail, layout)
    for name in ("gain", "scale", "offset"):
        values = getattr(block, name)
        setattr(block, name, None if values is None else layout.spread(values, 0, fill=float(name != "offset")))


def _pad_branches(block: DeployBlock) -> None:
    count = branch_channels(block)
    one = padded_layout(count, _multiple(count, 8))
    for branch in block.branch_convs:
        lay_out_outputs(branch, one)
    four = padded_layout(count, one.size, repeats=4)
    lay_out_inputs(block.fusion, four)
    if block.gate_reads_branches:
        lay_out_inputs(block.gate.head, four)


def _pad_gate(gate: Gate) -> None:
    """Fills up the channels inside the attention to a multiple of four."""
    count = gate.head.out_channels
    inner = padded_layout(count, _multiple(count, 4))
    lay_out_outputs(gate.head, inner)
    convs = [gate.stride, *(layer for layer in gate.group if not isinstance(layer, nn.ReLU))]
    for conv in convs:
        lay_out_inputs(conv, inner)
    for conv in convs if gate.tail is not None else convs[:-1]:
        lay_out_outputs(conv, inner)
    if gate.skip is not None:
        lay_out_inputs(gate.skip, inner)
        if gate.tail is not None:
            lay_out_outputs(gate.skip, inner)
    if gate.tail is not None:
        lay_out_inputs(gate.tail, inner if gate.skip is not None else padded_layout(count, inner.size, repeats=2))
