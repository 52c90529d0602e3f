"""What is wanted of an upscaled picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from efdn.errors import ConfigError
from engines.tiling.options import DEFAULT_TILING, TileOptions


class AlphaBy(str, Enum):
    """What upscales opacity."""

    EFDN = "efdn"
    BICUBIC = "bicubic"


@dataclass(frozen=True, kw_only=True)
class EnlargeOptions:
    """What is wanted of an upscaled picture. None leaves a thing as the picture and the network have it.

    Attributes:
        tiling: how it is cut into tiles.
        alpha: what upscales opacity.
        rgb: whether gray and CMYK become RGB.
        bits: of a sample, 1, 8 or 16; 1-bit pictures become 8-bit ones if None.
        background: RGB of 0..255 to put a transparent picture on.
        size: of the result, as `efdn.pictures.resize.parse_size` takes it, shares being of the picture itself.
    """

    tiling: TileOptions = DEFAULT_TILING
    alpha: AlphaBy = AlphaBy.EFDN
    rgb: bool = False
    bits: int | None = None
    background: tuple[int, int, int] | None = None
    size: str | None = None

    def __post_init__(self) -> None:
        if self.bits not in (None, 1, 8, 16):
            raise ConfigError(f"bits must be 1, 8 or 16, got {self.bits}")
        if self.background is not None and not all(0 <= part <= 255 for part in self.background):
            raise ConfigError(f"background must be three numbers of 0 to 255, got {self.background}")


DEFAULT_ENLARGING = EnlargeOptions()
