"""How pictures are cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass

from efdn.errors import ConfigError

DEFAULT_PAD = 8
"""In pixels. More changes nothing any more: see docs/evaluation.md, Borders."""

DEFAULT_OVERLAP = 16
"""In pixels: see docs/tiling.md for the error at others."""


@dataclass(frozen=True, kw_only=True)
class TileOptions:
    """How a picture is cut into tiles. Lengths are in pixels of the small picture.

    Attributes:
        side: longest side of a tile, context included; 0 is never to tile, None to choose by engine and free memory.
        overlap: of what a tile sees, how much on each side is context that neighbours cover, and is thrown away.
        pad: how far the picture is mirrored outwards before the network; None is `DEFAULT_PAD`, or less where only
            that fits the picture into a fixed shape in one go.
    """

    side: int | None = None
    overlap: int = DEFAULT_OVERLAP
    pad: int | None = None

    def __post_init__(self) -> None:
        if self.side is not None and self.side < 0:
            raise ConfigError(f"the side of a tile must be at least 0 pixels, got {self.side}")
        if not 0 <= self.overlap <= 512:
            raise ConfigError(f"the overlap of tiles must be 0 to 512 pixels, got {self.overlap}")
        if self.pad is not None and not 0 <= self.pad <= 512:
            raise ConfigError(f"pad must be 0 to 512 pixels, got {self.pad}")


DEFAULT_TILING = TileOptions()
