"""EFDN in its training form: the published constructor and state-dict keys.

Source: NTIRE 2023 Efficient Super-Resolution challenge, "Efficient Feature
Distillation Network" (factsheet). This is an independent implementation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.config import EFDNConfig
from efdn.errors import ConfigError
from efdn.layers import BSConv, SpatialAttention
from efdn.mixing import mix_pixels, mix_pixels_published
from efdn.upscaler import Upscaler
from efdn.upscaler import check_input as check_input

Mixing = Callable[[Tensor], Tensor]


class TokenMixer(nn.Module):
    """`norm(mix(x) - x)` over (N, planes, H, W): mixes neighbouring pixels without a convolution."""

    def __init__(self, planes: int, mix: Mixing) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(planes)
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.mix(x) - x)  # type: ignore[no-any-return]


class Block(nn.Module):
    """One distillation block (the factsheet's EFDB), (N, planes, H, W) to the same shape."""

    def __init__(self, config: EFDNConfig, mix: Mixing) -> None:
        super().__init__()
        planes, distilled = config.planes, config.distilled_planes
        self.c1_d = nn.Conv2d(planes, distilled, 1)
        self.c1_r = TokenMixer(planes, mix)
        self.c2_d = nn.Conv2d(planes, distilled, 1)
        self.c2_r = TokenMixer(planes, mix)
        self.c3_d = nn.Conv2d(planes, distilled, 1)
        self.c3_r = TokenMixer(planes, mix)
        self.c4_r = nn.Conv2d(planes, distilled, 1)
        self.c5 = nn.Conv2d(4 * distilled, planes, 1)
        self.esa = SpatialAttention(planes, config.attention_planes)
        self.norm = nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        r1 = F.gelu(x + self.c1_r(x))
        r2 = F.gelu(r1 + self.c2_r(r1))
        r3 = F.gelu(r2 + self.c3_r(r2))
        branches = (self.c1_d(x), self.c2_d(r1), self.c3_d(r2), self.c4_r(r3))
        out = self.c5(F.gelu(torch.cat(branches, dim=1)))
        return self.norm(out * self.esa(out) + x)  # type: ignore[no-any-return]


class EFDN(Upscaler):
    """Efficient Feature Distillation Network.

    Maps RGB (N, 3, H, W), float, 0..`data_range`, H and W at least 13, to
    (N, 3, upscale * H, upscale * W), float, nominally 0..`data_range`, not clamped.

    Args:
        upscale: integer magnification.
        planes: channels of the trunk.
        num_modules: number of blocks.
        num_times: how often the input is repeated along the channels.
        conv_type: kind of convolution; only "bsconv_u" was published.
        data_range: value of white; published checkpoints use 255.
        mix: expression of the pixel mixing (see `efdn.mixing`).

    Raises:
        ConfigError: a value out of range, or an unknown `conv_type`.
    """

    config: EFDNConfig

    def __init__(
        self,
        upscale: int = 4,
        planes: int = 45,
        num_modules: int = 12,
        num_times: int = 4,
        conv_type: str = "bsconv_u",
        *,
        data_range: float = 255.0,
        mix: Mixing = mix_pixels,
    ) -> None:
        if conv_type != "bsconv_u":
            raise ConfigError(f"conv_type must be 'bsconv_u', the one that was published, got {conv_type!r}")
        config = EFDNConfig(
            upscale=upscale, planes=planes, num_modules=num_modules, num_times=num_times, data_range=data_range
        )
        super().__init__(config)
        self.head = BSConv(3 * num_times, planes)
        self.body = nn.ModuleList(Block(self.config, mix) for _ in range(num_modules))
        self.body_tail = nn.Sequential(nn.Conv2d(num_modules * planes, planes, 1), nn.GELU(), BSConv(planes, planes))
        self.tail = nn.Sequential(nn.Conv2d(planes, 3 * upscale**2, 3, padding=1), nn.PixelShuffle(upscale))

    @classmethod
    def from_config(cls, config: EFDNConfig, *, mix: Mixing = mix_pixels) -> EFDN:
        """The network that `config` describes, with fresh random weights."""
        return cls(
            config.upscale,
            config.planes,
            config.num_modules,
            config.num_times,
            data_range=config.data_range,
            mix=mix,
        )

    def published_form(self) -> EFDN:
        """The same network with its mixing as the published code computes it, in eval mode."""
        published = EFDN.from_config(self.config, mix=mix_pixels_published)
        published.load_state_dict(self.state_dict())
        return published.eval()

    def forward(self, x: Tensor) -> Tensor:
        check_input(x)
        head = self.head(x.repeat(1, self.config.num_times, 1, 1))
        features, outputs = head, []
        for block in self.body:
            features = block(features)
            outputs.append(features)
        return self.tail(self.body_tail(torch.cat(outputs, dim=1)) + head)  # type: ignore[no-any-return]
