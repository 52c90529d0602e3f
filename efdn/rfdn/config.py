"""Hyper-parameters of an RFDN network."""

from __future__ import annotations

from dataclasses import dataclass

from efdn.config import NetworkConfig


@dataclass(frozen=True, kw_only=True)
class RFDNConfig(NetworkConfig):
    """What defines an RFDN network besides its weights.

    Attributes:
        nf: channels of the trunk.
        num_modules: number of blocks.
    """

    architecture = "RFDN"
    smallest_side = 15  # A convolution of stride 2, without padding, leaves seven of them, which the pool needs.

    nf: int = 50
    num_modules: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(4, "nf")
        self._require_at_least(1, "num_modules")

    @property
    def sizes(self) -> dict[str, int]:
        return {"scale": self.upscale, "planes": self.nf, "blocks": self.num_modules}

    @property
    def distilled_planes(self) -> int:
        """Channels of each distilled branch."""
        return self.nf // 2

    @property
    def attention_planes(self) -> int:
        """Channels inside the spatial attention."""
        return self.nf // 4
