"""EFDN in its deploy form: no BatchNorm left, ready to be written as ONNX.

Made by `efdn.folding` from a trained network and reshaped by `efdn.passes`; computes the same function.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.config import EFDNConfig
from efdn.gate import Gate
from efdn.layers import added_up
from efdn.mixers import FoldedMixer, MixerChain, per_channel
from efdn.mixing import crop
from efdn.upscaler import Upscaler, check_input


class DeployBlock(nn.Module):
    """One block without norms: `gain * out * gate + scale * x + offset`.

    Each of gain, scale and offset is None where it is not needed.

    Attributes:
        mixing: yields x, r1, r2 and r3.
        branches: the 1x1 convolutions reading them: four, or one of four groups.
        fusion: 1x1 over the four activated branches; yields `out`.
        gate: yields the attention's factor.
        gate_reads_branches: whether the gate reads the activated branches, rather than `out`.
        add_up: whether the branches are fused one by one and added, rather than joined and fused.
        gain: (C,), where the fusion cannot carry all of the norm's scale.
        scale: (C,), of the residual.
        offset: (C,).
    """

    gain: Tensor | None
    scale: Tensor | None
    offset: Tensor | None

    def __init__(
        self,
        mixers: list[FoldedMixer],
        branches: list[nn.Conv2d],
        fusion: nn.Conv2d,
        gate: Gate,
        *,
        gain: Tensor | None,
        scale: Tensor | None,
        offset: Tensor | None,
    ) -> None:
        super().__init__()
        self.mixing = MixerChain(mixers)
        self.branches = nn.ModuleList(branches)
        self.fusion = fusion
        self.gate = gate
        self.gate_reads_branches = False
        self.add_up = False
        self.register_buffer("gain", gain)
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    @property
    def branch_convs(self) -> list[nn.Conv2d]:
        """The convolutions of `branches`, typed."""
        return [cast(nn.Conv2d, branch) for branch in self.branches]

    @property
    def joined(self) -> bool:
        """Whether the branches are one grouped convolution."""
        return len(self.branches) == 1

    def forward(self, x: Tensor) -> Tensor:
        stages = self.mixing(x)
        if self.joined:
            stages = [torch.cat(stages, dim=1)]
        branches = [F.gelu(branch(stage)) for branch, stage in zip(self.branches, stages, strict=True)]
        if self.add_up:
            margins = self.mixing.margins
            maps = [crop(branch, margin) for branch, margin in zip(branches, margins, strict=True)]
            out = added_up(self.fusion, maps, len(maps))
            gated = out * self.gate(out)
        else:
            activated = torch.cat(branches, dim=1)
            out = self.fusion(activated)
            gated = out * self.gate(activated if self.gate_reads_branches else out)
        if self.gain is not None:
            gated = per_channel(self.gain) * gated
        result: Tensor = gated + (x if self.scale is None else per_channel(self.scale) * x)
        return result if self.offset is None else result + per_channel(self.offset)


class DeployEFDN(Upscaler):
    """EFDN without norms. Same input, output and errors as `efdn.network.EFDN`.

    Attributes:
        config: hyper-parameters of the network it was made from.
        data_range: value of white at input and output.
        head: reads the repeated input; a BSConv or a dense convolution.
        head_repeats: how often the input is repeated before the head.
        fusion: 1x1 over the outputs of all blocks.
        add_up: whether these are fused one by one, each as soon as its block is done, and added.
        refine: a BSConv or a dense convolution.
        tail: yields the sub-pixels.
    """

    config: EFDNConfig

    def __init__(
        self,
        config: EFDNConfig,
        *,
        head: nn.Module,
        body: list[DeployBlock],
        fusion: nn.Conv2d,
        refine: nn.Module,
        tail: nn.Conv2d,
        head_repeats: int,
    ) -> None:
        super().__init__(config)
        self.head_repeats = head_repeats
        self.add_up = False
        self.head = head
        self.body = nn.ModuleList(body)
        self.fusion = fusion
        self.refine = refine
        self.tail = tail

    @property
    def blocks(self) -> list[DeployBlock]:
        """The blocks of `body`, typed."""
        return [cast(DeployBlock, block) for block in self.body]

    @property
    def grouped(self) -> bool:
        """Whether the trunk's channels have their mixing groups contiguous."""
        return self.blocks[0].mixing.folded[0].groups is not None

    @property
    def trunk_channels(self) -> int:
        """Channels between the blocks, padding included."""
        return self.tail.in_channels

    def forward(self, x: Tensor) -> Tensor:
        check_input(x)
        head = self.head(x.repeat(1, self.head_repeats, 1, 1) if self.head_repeats > 1 else x)
        outputs = self._outputs(head)
        if self.add_up:
            fused = added_up(self.fusion, outputs, len(self.body))
        else:
            fused = self.fusion(torch.cat(list(outputs), dim=1))
        refined = self.refine(F.gelu(fused))
        return F.pixel_shuffle(self.tail(refined + head), self.config.upscale)

    def _outputs(self, features: Tensor) -> Iterator[Tensor]:
        """Of one block after the other."""
        for block in self.body:
            features = block(features)
            yield features
