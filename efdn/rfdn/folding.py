"""From RFDN as published to the form that is exported. Pure functions: the argument stays as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from efdn.copying import copied
from efdn.rfdn.network import RFDN, Block

FOLD = "fold_residuals"
"""The one stage between the trained network and the graph."""


class FoldedBlock(Block):
    """A block whose refining convolutions add their input by themselves."""

    adds_input = False


class DeployRFDN(RFDN):
    """RFDN with the additions of its blocks in their convolutions. Same input, output and errors."""

    block = FoldedBlock


def fold_residuals(network: RFDN) -> DeployRFDN:
    """Puts the additions of each block into its convolutions: `conv(x) + x` is one with 1 added at the kernel's centre.

    Args:
        network: as trained.

    Returns:
        A network of the same dtype and device.
    """
    like = network.fea_conv.weight
    folded = DeployRFDN.from_config(network.config).to(dtype=like.dtype, device=like.device)
    folded.load_state_dict(network.state_dict())
    folded.eval().requires_grad_(False)
    for block in folded.blocks:
        for conv in block.refining:
            _add_identity(conv)
    return folded


def deploy_stages(network: RFDN, passes: Sequence[str]) -> Iterator[tuple[str, DeployRFDN]]:
    """Yields the name and result of every stage up to the exported form, in float64.

    Args:
        network: any RFDN.
        passes: after the folding; none, since RFDN has none.
    """
    assert not passes
    yield FOLD, fold_residuals(copied(network).double())


def _add_identity(conv: nn.Conv2d) -> None:
    """Makes a 3x3 convolution add its input to its output."""
    centre = conv.weight[:, :, 1, 1]
    centre += torch.eye(conv.out_channels, dtype=centre.dtype, device=centre.device)
