"""RFDN: the published state-dict keys, and the challenge's configuration by default.

Source: Liu, Tang and Wu, "Residual feature distillation network for lightweight image
super-resolution", ECCV 2020 workshops. This is an independent implementation.

Activations are layers, without keys of their own, since the challenge's counter sees
layers only and its published figure holds theirs.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.rfdn.config import RFDNConfig
from efdn.upscaler import Upscaler, check_input

NEGATIVE_SLOPE = 0.05
POOL_SIZE, POOL_STRIDE = 7, 3

N = TypeVar("N", bound="RFDN")


class Attention(nn.Module):
    """Enhanced spatial attention (ESA), as RFDN has it: `x * gate(x)`.

    Maps (N, planes, H, W) to the same shape; H and W at least 15.

    Args:
        planes: channels in and out.
        inner: channels inside.
    """

    def __init__(self, planes: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, inner, 1)
        self.conv_f = nn.Conv2d(inner, inner, 1)
        self.conv_max = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv3 = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv3_ = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv4 = nn.Conv2d(inner, planes, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        head = self.conv1(x)
        coarse = F.max_pool2d(self.conv2(head), kernel_size=POOL_SIZE, stride=POOL_STRIDE)
        coarse = self.conv3_(self.relu(self.conv3(self.relu(self.conv_max(coarse)))))
        coarse = F.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(coarse + self.conv_f(head)))


class Block(nn.Module):
    """One residual feature distillation block, (N, nf, H, W) to the same shape.

    Attributes:
        adds_input: whether the outputs of `refining` have their input added.
    """

    adds_input: ClassVar[bool] = True

    def __init__(self, config: RFDNConfig) -> None:
        super().__init__()
        planes, distilled = config.nf, config.distilled_planes
        self.c1_d = nn.Conv2d(planes, distilled, 1)
        self.c1_r = nn.Conv2d(planes, planes, 3, padding=1)
        self.c2_d = nn.Conv2d(planes, distilled, 1)
        self.c2_r = nn.Conv2d(planes, planes, 3, padding=1)
        self.c3_d = nn.Conv2d(planes, distilled, 1)
        self.c3_r = nn.Conv2d(planes, planes, 3, padding=1)
        self.c4 = nn.Conv2d(planes, distilled, 3, padding=1)
        self.c5 = nn.Conv2d(4 * distilled, planes, 1)
        self.esa = Attention(planes, config.attention_planes)
        self.act = nn.LeakyReLU(NEGATIVE_SLOPE)

    @property
    def refining(self) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
        """The convolutions that go on with all channels."""
        return self.c1_r, self.c2_r, self.c3_r

    @property
    def distilling(self) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
        """The convolutions beside them that keep half."""
        return self.c1_d, self.c2_d, self.c3_d

    def forward(self, x: Tensor) -> Tensor:
        distilled = []
        for keep, refine in zip(self.distilling, self.refining, strict=True):
            distilled.append(keep(x))
            x = self.act(refine(x) + x if self.adds_input else refine(x))
        distilled.append(self.c4(x))
        return self.esa(self.c5(self.act(torch.cat(distilled, dim=1))))  # type: ignore[no-any-return]


class RFDN(Upscaler):
    """Residual Feature Distillation Network, for RGB images.

    Args:
        nf: channels of the trunk.
        num_modules: number of blocks.
        upscale: integer magnification.
        data_range: value of white; published checkpoints use 255.

    Raises:
        ConfigError: a value out of range.
    """

    config: RFDNConfig
    block: ClassVar[type[Block]] = Block

    def __init__(self, nf: int = 50, num_modules: int = 4, upscale: int = 4, *, data_range: float = 255.0) -> None:
        config = RFDNConfig(nf=nf, num_modules=num_modules, upscale=upscale, data_range=data_range)
        super().__init__(config)
        self.fea_conv = nn.Conv2d(3, nf, 3, padding=1)
        for number in range(1, num_modules + 1):
            self.add_module(f"B{number}", self.block(config))
        self.c = nn.Sequential(nn.Conv2d(num_modules * nf, nf, 1), nn.LeakyReLU(NEGATIVE_SLOPE))
        self.LR_conv = nn.Conv2d(nf, nf, 3, padding=1)
        self.upsampler = nn.Sequential(nn.Conv2d(nf, 3 * upscale**2, 3, padding=1), nn.PixelShuffle(upscale))

    @classmethod
    def from_config(cls: type[N], config: RFDNConfig) -> N:
        """The network that `config` describes, with fresh random weights."""
        return cls(config.nf, config.num_modules, config.upscale, data_range=config.data_range)

    @property
    def blocks(self) -> list[Block]:
        """B1, B2 and so on."""
        return [cast(Block, self.get_submodule(f"B{number}")) for number in range(1, self.config.num_modules + 1)]

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, RFDNConfig)
        head = self.fea_conv(x)
        features, outputs = head, []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        return self.upsampler(self.LR_conv(self.c(torch.cat(outputs, dim=1))) + head)  # type: ignore[no-any-return]
