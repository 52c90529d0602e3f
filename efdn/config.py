"""Hyper-parameters of networks, and of EFDN's in particular. Torch stays out: looking at a file needs them too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from efdn.errors import ConfigError

MIN_SIDE = 13
"""Smallest height or width, in pixels, that the attention's 7x7 pool can take after its stride-2 convolution."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What defines a network of any architecture besides its weights.

    Attributes:
        architecture: name of the architecture.
        smallest_side: smallest height or width that it takes, in pixels.
        upscale: integer magnification.
        data_range: value of white at input and output; published checkpoints use 255.
    """

    architecture: ClassVar[str]
    smallest_side: ClassVar[int]

    upscale: int = 4
    data_range: float = 255.0

    def __post_init__(self) -> None:
        self._require_at_least(1, "upscale")
        if not (math.isfinite(self.data_range) and self.data_range > 0):
            raise ConfigError(f"data_range must be a positive number, got {self.data_range}")

    @property
    def sizes(self) -> dict[str, int]:
        """Scale, channels, blocks and the like, by the names that files of this toolkit keep them under."""
        raise NotImplementedError

    def __str__(self) -> str:
        sizes = self.sizes
        return f"{self.architecture} x{sizes['scale']}, {sizes['planes']} channels, {sizes['blocks']} blocks"

    def _require_at_least(self, least: int, *fields: str) -> None:
        for field in fields:
            value = getattr(self, field)
            if value < least:
                raise ConfigError(f"{field} must be at least {least}, got {value}")


@dataclass(frozen=True, kw_only=True)
class EFDNConfig(NetworkConfig):
    """What defines an EFDN network besides its weights.

    Attributes:
        planes: channels of the trunk.
        num_modules: number of blocks.
        num_times: how often the RGB input is repeated along the channels.
    """

    architecture = "EFDN"
    smallest_side = MIN_SIDE

    planes: int = 45
    num_modules: int = 12
    num_times: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(5, "planes")
        self._require_at_least(1, "num_modules", "num_times")

    @property
    def sizes(self) -> dict[str, int]:
        return {
            "scale": self.upscale,
            "planes": self.planes,
            "blocks": self.num_modules,
            "input_repeats": self.num_times,
        }

    @property
    def distilled_planes(self) -> int:
        """Channels of each distilled branch."""
        return self.planes // 2

    @property
    def attention_planes(self) -> int:
        """Channels inside the spatial attention."""
        return self.planes // 4
