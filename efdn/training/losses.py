"""What training makes small: distances between pictures on the 0..255 range."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CHARBONNIER_EPS = 0.255
"""Grey levels below which the error counts squared: 1e-3 of white."""

Loss = Callable[[Tensor, Tensor], Tensor]


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of (N, 3, H, W), in grey levels."""
    return (output - target).abs().mean()


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(error^2 + eps^2), in grey levels (Charbonnier et al., ICIP 1994)."""
    return torch.hypot(output - target, output.new_tensor(CHARBONNIER_EPS)).mean()


def l2(output: Tensor, target: Tensor) -> Tensor:
    """A tenth of the mean squared error: its gradients are then about as long as those of the other losses."""
    return (output - target).square().mean() / 10


LOSSES: dict[str, Loss] = {"l1": l1, "charbonnier": charbonnier, "l2": l2}
