"""PSNR on pictures that are not trained on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from efdn.metrics import psnr
from efdn.network import EFDN
from efdn.training.fast_form import FastForm

LONGEST_SIDE = 480
"""HR pixels; larger pictures are cropped to their middle."""

HIGHEST_DB = 100.0
"""A flat picture can come out without any error; an infinite figure would say nothing of the others."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture and its small version.

    Attributes:
        hr: (scale * h, scale * w, 3) uint8.
        lr: (h, w, 3) uint8.
    """

    hr: Pixels
    lr: Pixels

    def middle(self, scale: int) -> Pair:
        """The middle of the picture, at most `LONGEST_SIDE` HR pixels a side."""
        cuts = []
        for side in self.lr.shape[:2]:
            length = min(side, LONGEST_SIDE // scale)
            cuts.append(((side - length) // 2, length))
        (y, height), (x, width) = cuts
        return Pair(
            lr=self.lr[y : y + height, x : x + width],
            hr=self.hr[scale * y : scale * (y + height), scale * x : scale * (x + width)],
        )


@torch.inference_mode()
def validate(network: EFDN, pairs: Sequence[Pair], device: torch.device) -> float:
    """Mean PSNR in dB: RGB, 8-bit results, a border of `scale` pixels left out, as the challenge has it.

    Args:
        network: in any mode; a copy of it is run, in eval mode.
        pairs: pictures.
        device: where the network is.
    """
    runner = FastForm(copy.deepcopy(network).eval()).to(device)
    scale = network.config.upscale
    scores = []
    for pair in pairs:
        x = torch.from_numpy(pair.lr.transpose(2, 0, 1)[None].astype(np.float32)).to(device)
        y = runner(x)[0].clamp(0, 255).round().to(torch.uint8).cpu().numpy().transpose(1, 2, 0)
        scores.append(min(psnr(pair.hr, y, border=scale), HIGHEST_DB))
    return float(np.mean(scores))
