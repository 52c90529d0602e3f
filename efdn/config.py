"""Hyper-parameters of an EFDN network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from efdn.errors import ConfigError

MIN_SIDE = 13
"""Smallest height or width, in pixels, that the attention's 7x7 pool can take after its stride-2 convolution."""


@dataclass(frozen=True, kw_only=True)
class EFDNConfig:
    """What defines an EFDN network besides its weights.

    Attributes:
        upscale: integer magnification.
        planes: channels of the trunk.
        num_modules: number of blocks.
        num_times: how often the RGB input is repeated along the channels.
        data_range: value of white at input and output; published checkpoints use 255.
    """

    upscale: int = 4
    planes: int = 45
    num_modules: int = 12
    num_times: int = 4
    data_range: float = 255.0

    def __post_init__(self) -> None:
        for field, least in (("upscale", 1), ("planes", 5), ("num_modules", 1), ("num_times", 1)):
            value = getattr(self, field)
            if value < least:
                raise ConfigError(f"{field} must be at least {least}, got {value}")
        if not (math.isfinite(self.data_range) and self.data_range > 0):
            raise ConfigError(f"data_range must be a positive number, got {self.data_range}")

    @property
    def distilled_planes(self) -> int:
        """Channels of each distilled branch."""
        return self.planes // 2

    @property
    def attention_planes(self) -> int:
        """Channels inside the spatial attention."""
        return self.planes // 4
