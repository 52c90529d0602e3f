"""Static metadata of HDR video: the display it was graded on, and how bright it gets."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

PQ, HLG = 16, 18
"""Transfer characteristics of HDR by ITU-T H.273."""

MASTERING, LIGHT = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"
DYNAMIC = {
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
}
"""Side data that describes single frames and cannot be carried over."""

RATIONALS = 10
"""In FFmpeg's structure: x and y of red, green, blue and white, least and greatest luminance; then two flags."""


@dataclass(frozen=True, kw_only=True)
class HdrMetadata:
    """What HDR10 says of a whole video.

    Attributes:
        primaries: x and y of red, green, blue and white of the display it was graded on; None if not told.
        luminance: of that display, least and greatest, in candela per square metre; None if not told.
        light: brightest pixel, and brightest average of a frame, in candela per square metre; None if not told.
    """

    primaries: tuple[Fraction, ...] | None = None
    luminance: tuple[Fraction, Fraction] | None = None
    light: tuple[int, int] | None = None

    @property
    def display(self) -> bool:
        """Whether the display is described as a whole, which is all that encoders take."""
        return self.primaries is not None and self.luminance is not None


NO_HDR = HdrMetadata()


def read_hdr(side_data: Mapping[str, bytes]) -> HdrMetadata:
    """HDR metadata out of a frame's side data.

    Args:
        side_data: by FFmpeg's names, as its structures lie in memory.
    """
    primaries = luminance = light = None
    mastering = side_data.get(MASTERING, b"")
    if len(mastering) >= 4 * (2 * RATIONALS + 2):
        numbers = struct.unpack_from(f"={2 * RATIONALS + 2}i", mastering)
        pairs = [Fraction(numbers[2 * at], numbers[2 * at + 1] or 1) for at in range(RATIONALS)]
        has_primaries, has_luminance = numbers[2 * RATIONALS :]
        primaries = tuple(pairs[:8]) if has_primaries else None
        luminance = (pairs[8], pairs[9]) if has_luminance else None
    if len(side_data.get(LIGHT, b"")) >= 8:
        light = struct.unpack_from("=2I", side_data[LIGHT])
    return HdrMetadata(primaries=primaries, luminance=luminance, light=light)


def dynamic_kinds(side_data: Mapping[str, bytes]) -> list[str]:
    """Names of the metadata of single frames that is there, each once."""
    return sorted({DYNAMIC[name] for name in side_data if name in DYNAMIC})


def hdr_options(encoder: str, hdr: HdrMetadata) -> dict[str, str]:
    """Options with which an encoder writes the metadata, by option; empty where it cannot, or there is none.

    Args:
        encoder: FFmpeg's name.
        hdr: of the source.
    """
    parameters = {
        "libx264": ("x264-params", _in_steps(hdr, "mastering-display", "cll")),
        "libx265": ("x265-params", _in_steps(hdr, "master-display", "max-cll")),
        "libsvtav1": ("svtav1-params", _in_units(hdr)),
    }.get(encoder)
    if parameters is None or not parameters[1]:
        return {}
    return {parameters[0]: ":".join(parameters[1])}


def _in_steps(hdr: HdrMetadata, display: str, light: str) -> list[str]:
    """As x264 and x265 have it: chromaticity in steps of 0.00002, luminance in steps of 0.0001."""
    found = []
    if hdr.primaries is not None and hdr.luminance is not None:
        red, green, blue, white = (
            f"({round(hdr.primaries[at] * 50_000)},{round(hdr.primaries[at + 1] * 50_000)})" for at in (0, 2, 4, 6)
        )
        least, most = (round(value * 10_000) for value in hdr.luminance)
        found.append(f"{display}=G{green}B{blue}R{red}WP{white}L({most},{least})")
    if hdr.light is not None:
        found.append(f"{light}={hdr.light[0]},{hdr.light[1]}")
    return found


def _in_units(hdr: HdrMetadata) -> list[str]:
    """As SVT-AV1 has it: plain numbers."""
    found = []
    if hdr.primaries is not None and hdr.luminance is not None:
        red, green, blue, white = (
            f"({float(hdr.primaries[at]):.5f},{float(hdr.primaries[at + 1]):.5f})" for at in (0, 2, 4, 6)
        )
        least, most = hdr.luminance
        found.append(f"mastering-display=G{green}B{blue}R{red}WP{white}L({float(most):.4f},{float(least):.4f})")
    if hdr.light is not None:
        found.append(f"content-light={hdr.light[0]},{hdr.light[1]}")
    return found
