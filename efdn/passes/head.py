"""Passes on the two ends of the network."""

from __future__ import annotations

from torch import nn

from efdn.copying import copied
from efdn.deploy import DeployEFDN
from efdn.folding import bias_of
from efdn.layers import BSConv
from efdn.passes.linear import frozen, merged

WHITE = 255.0
"""Value of white in 8 bits."""


def sum_head_repeats(network: DeployEFDN) -> DeployEFDN:
    """Sums the head's weights over the repeats of its input, so that it reads plain RGB."""
    result = copied(network)
    reading = _reading_half(result.head)
    summed = reading.weight.unflatten(1, (network.head_repeats, 3)).sum(dim=1)  # type: ignore[no-untyped-call]
    reading.weight, reading.in_channels = frozen(summed), 3
    result.head_repeats = 1
    return result


def merge_refine_bsconv(network: DeployEFDN) -> DeployEFDN:
    """Merges the separable convolution before the tail into a dense 3x3."""
    result = copied(network)
    result.refine = merged(result.refine)
    return result


def fold_scale(network: DeployEFDN) -> DeployEFDN:
    """Makes the network take and give 0..255, whatever range it was trained for.

    The ratio goes into the weights of the head, whose input is zero-padded, and into
    weights and bias of the tail.
    """
    result = copied(network)
    ratio = network.data_range / WHITE
    _reading_half(result.head).weight.mul_(ratio)
    result.tail.weight.div_(ratio)
    bias_of(result.tail).div_(ratio)
    result.data_range = WHITE
    return result


def _reading_half(conv: nn.Module) -> nn.Conv2d:
    """The convolution that reads the input: of a BSConv the pointwise half."""
    reading = conv.pw if isinstance(conv, BSConv) else conv
    assert isinstance(reading, nn.Conv2d)
    return reading
