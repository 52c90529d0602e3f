"""How a video's samples stand for colours, and what is taken where it does not say.

Numbers are those of ITU-T H.273, which FFmpeg uses for the matrix, primaries and transfer characteristics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from efdn.errors import VideoError

RGB, BT709, UNSPECIFIED, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020 = 0, 1, 2, 4, 5, 6, 7, 9
LIMITED, FULL = 1, 2

MATRIX_NAMES = {
    BT709: "bt709",
    FCC: "fcc",
    BT470BG: "bt601",
    SMPTE170M: "bt601",
    SMPTE240M: "smpte240m",
    BT2020: "bt2020",
}
"""FFmpeg's scaler's names of the matrices between YUV and RGB that it knows."""

RANGE_NAMES = {LIMITED: "tv", FULL: "pc"}

PRIMARIES_BY_HEIGHT = {576: BT470BG, 480: SMPTE170M, 488: SMPTE170M}


@dataclass(frozen=True, kw_only=True)
class ColorTags:
    """A video's tags of colour.

    Attributes:
        matrix: between YUV and RGB.
        primaries: of the colour space.
        transfer: characteristics; 16 is PQ, 18 is HLG.
        range: LIMITED, FULL, or 0 where it is not told.
    """

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    range: int = 0

    def check(self) -> None:
        """Raises VideoError if the scaler does not know the matrix."""
        if self.matrix != RGB and self.matrix not in MATRIX_NAMES:
            raise VideoError(
                f"the video's colour matrix (number {self.matrix} of ITU-T H.273) cannot be turned into RGB: "
                "convert it to BT.709 or BT.2020 first"
            )

    @property
    def matrix_name(self) -> str:
        """FFmpeg's scaler's name of the matrix, which it knows and which is not RGB."""
        return MATRIX_NAMES[self.matrix]

    @property
    def range_name(self) -> str:
        """FFmpeg's scaler's name of the range."""
        return RANGE_NAMES[self.range]


def resolved(tags: ColorTags, *, width: int, height: int, pixel_format: str, rgb: bool) -> ColorTags:
    """The tags with what is missing filled in as players do, by the size of the picture.

    The result is larger, so that a player would guess otherwise: what was guessed is written into it.

    Args:
        tags: as the file has them.
        width: of the source, in pixels.
        height: of the source, in pixels.
        pixel_format: FFmpeg's name.
        rgb: whether that is RGB, with or without alpha.
    """
    if rgb:
        return replace(tags, matrix=RGB, range=FULL)
    large = width >= 1280 or height > 576
    known = tags
    if known.matrix == UNSPECIFIED or (known.matrix == RGB and not rgb):
        known = replace(known, matrix=BT709 if large else SMPTE170M)
    if known.primaries == UNSPECIFIED and not large and height in PRIMARIES_BY_HEIGHT:
        known = replace(known, primaries=PRIMARIES_BY_HEIGHT[height])
    if known.range not in RANGE_NAMES:
        known = replace(known, range=FULL if pixel_format.startswith(("yuvj", "gray")) else LIMITED)
    return known


def encoded(tags: ColorTags, *, rgb_target: bool) -> ColorTags:
    """The tags of the result: the source's, with a matrix of its own where RGB becomes YUV or the other way round.

    Args:
        tags: of the source, resolved.
        rgb_target: whether the result is RGB.
    """
    if rgb_target:
        return replace(tags, matrix=RGB, range=FULL)
    return replace(tags, matrix=BT709, range=LIMITED) if tags.matrix == RGB else tags
