"""Exponential moving average of a network's weights and running statistics."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Follows a network; often better than the network itself while the learning rate is high.

    Args:
        network: to follow; copied.
        decay: share of the average that stays each step. Less in the first steps, so that they count for little.

    Attributes:
        network: the average, in eval mode.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, steps: int) -> None:
        """Takes in a network after its step number `steps`, counted from one."""
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        mine, theirs = (_floating(module) for module in (self.network, network))
        torch._foreach_lerp_(mine, theirs, weight)
        for kept, current in zip(self.network.buffers(), network.buffers(), strict=True):
            if not kept.is_floating_point():
                kept.copy_(current)


def _floating(module: nn.Module) -> list[torch.Tensor]:
    tensors = [parameter.data for parameter in module.parameters()]
    return tensors + [buffer for buffer in module.buffers() if buffer.is_floating_point()]
