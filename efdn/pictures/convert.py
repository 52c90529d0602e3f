"""Pictures brought to other colours and depths, exactly where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ConfigError
from efdn.pictures.picture import Color, Metadata, Picture, Pixels

RELATIVE_COLORIMETRIC = 1
BLACK_POINT_COMPENSATION = 0x2000
ICC_DATE = slice(24, 36)
DATE = b"\x07\xd0\x00\x01\x00\x01" + bytes(6)
"""The first of January 2000, in place of the moment a profile was made: equal pictures give equal files."""

BAND_SAMPLES, BLEED_SAMPLES = 1 << 22, 1 << 18
"""Of a band of rows: conversions need little room for each sample, colours under transparency several floats."""

Floats = NDArray[Any]
"""Single precision."""


def to_rgb(picture: Picture) -> Picture:
    """An RGB picture of a gray or CMYK one; one that is RGB as it is.

    CMYK goes through its profile to sRGB, relative colorimetric with black point compensation. Without a profile, each
    colour is what its ink and black leave of white, which is less true; a warning says so. Gray becomes three equal
    channels; a profile of gray is left out with a warning, as it does not describe them.

    Args:
        picture: of any kind.

    Returns:
        An RGB picture of the same depth, alpha, metadata and warnings.
    """
    if picture.color is Color.RGB:
        return picture
    if picture.color is Color.GRAY:
        return _gray_to_rgb(picture)
    profile = picture.metadata.icc_profile
    if profile is not None:
        try:
            pixels, srgb = _through_profile(picture.pixels, profile)
        # Each of the colour engine's versions has errors of its own.
        except Exception:
            warning = "its colour profile cannot be used: CMYK was converted to RGB without it, colours may be off"
        else:
            return _changed(picture, pixels, icc_profile=srgb)
    else:
        warning = "it has no colour profile: CMYK was converted to RGB without one, colours may be off"
    return _changed(picture, _ink_to_rgb(picture.pixels), warning)


def to_bits(rows: Pixels, bits: int) -> Pixels:
    """Samples at another depth, each rounded to the nearest.

    Args:
        rows: of any shape, uint8 or uint16.
        bits: 1, 8 or 16.

    Returns:
        uint16 for 16 bits, else uint8; 1 bit is 0 and 255, and half is 255.

    Raises:
        ConfigError: another number of bits.
    """
    if bits not in (1, 8, 16):
        raise ConfigError(f"expected 1, 8 or 16 bits a sample, got {bits}")
    deep = rows.dtype == np.uint16
    if bits == 1:
        white: Pixels = np.where(rows >= (1 << 15 if deep else 1 << 7), np.uint8(255), np.uint8(0))
        return white
    if bits == 16:
        deeper: Pixels = rows if deep else rows.astype(np.uint16) * np.uint16(257)
        return deeper
    if not deep:
        return rows
    # 257 divides 65535: there is no half to be rounded.
    shallow: Pixels = ((rows.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return shallow


def on_background(rows: Pixels, alpha: Pixels, colour: tuple[int, ...]) -> Pixels:
    """Colours as they look before a background, mixed as browsers do, on the values as they are encoded.

    Args:
        rows: (n, W, C), uint8 or uint16, straight.
        alpha: (n, W) of the same type.
        colour: of the background, C numbers of 0..255.

    Returns:
        (n, W, C) of the same type, rounded to nearest.

    Raises:
        ConfigError: `colour` has another number of channels, or a number outside 0..255.
    """
    if len(colour) != rows.shape[-1] or not all(0 <= part <= 255 for part in colour):
        raise ConfigError(f"expected a background of {rows.shape[-1]} numbers of 0 to 255, got {colour}")
    most = 65535 if rows.dtype == np.uint16 else 255
    behind = np.array(colour, np.uint32) * (257 if most == 65535 else 1)
    # 65535 * 65535 and the half that rounds are still below 2**32.
    weight = alpha[..., None].astype(np.uint32)
    mixed = rows * weight + behind * (most - weight) + most // 2
    result: Pixels = (mixed // most).astype(rows.dtype)
    return result


def bleed(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Colours of fully transparent pixels replaced by those of visible ones near them, as they make no fringes then.

    A pyramid: each level averages two by two pixels of the one below, weighted with alpha; what is empty takes the
    colour of the finest level that is not empty there.

    Args:
        pixels: (H, W, C), uint8, uint16 or float32, straight.
        alpha: (H, W) of the same type.

    Returns:
        (H, W, C) of the same type, equal where alpha is not 0; the picture itself where nothing or all is transparent.
    """
    if alpha.all() or not alpha.any():
        return pixels
    height, width, channels = pixels.shape

    def weighted(rows: slice) -> Floats:
        weight = alpha[rows, :, None].astype(np.float32)
        return np.concatenate([pixels[rows] * weight, weight], axis=2)

    # The finest level never exists as floats, only bands of it: it has four times the pixels of the next one.
    coarse = _means(_halved(weighted, (height, width, channels + 1)))
    result: Pixels = pixels.copy()
    for rows in _bands(pixels.shape):
        nearest = _doubled(coarse, rows, width)
        hidden = alpha[rows, :, None] == 0
        exact = nearest if pixels.dtype.kind == "f" else np.rint(nearest, out=nearest)
        np.copyto(result[rows], exact, where=hidden, casting="unsafe")
    return result


def _means(sums: Floats) -> Floats:
    """Mean colours, (H, W, C), in place of weighted sums, (H, W, C + 1) with the weights last; one is not 0."""
    weight, width = sums[..., -1], sums.shape[1]
    whole = bool(weight.all()) or weight.size == 1
    coarse = None if whole else _means(_halved(lambda rows: sums[rows], sums.shape))
    for rows in _bands(sums.shape):
        empty = weight[rows, :, None] == 0
        colors = sums[rows, :, :-1]
        colors /= np.where(empty, np.float32(1), weight[rows, :, None])
        if coarse is not None:
            np.copyto(colors, _doubled(coarse, rows, width), where=empty)
    return sums[..., :-1]


def _halved(level: Callable[[slice], Floats], shape: tuple[int, ...]) -> Floats:
    """Sums of two by two of a level of which rows are asked for; an odd row or column at the end has nothing beside it.

    Scaled down, to stay finite.
    """
    height, width, channels = shape
    halved = np.empty(((height + 1) // 2, (width + 1) // 2, channels), np.float32)
    for rows in _bands(shape):
        values = level(rows)
        even = np.pad(values, ((0, len(values) % 2), (0, width % 2), (0, 0)))
        sums = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
        np.divide(sums, 4, out=halved[rows.start // 2 : rows.start // 2 + len(sums)])
    return halved


def _doubled(coarse: Floats, rows: slice, width: int) -> Floats:
    """What a coarse level says of rows of the level below."""
    height = rows.stop - rows.start
    wanted = coarse[rows.start // 2 : (rows.stop + 1) // 2]
    return wanted.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of a level in bounded parts, which begin at even ones."""
    step = max(2, BLEED_SAMPLES // max(1, shape[1] * shape[2]) // 2 * 2)
    for top in range(0, shape[0], step):
        yield slice(top, min(shape[0], top + step))


def _gray_to_rgb(picture: Picture) -> Picture:
    pixels = np.repeat(picture.pixels, 3, axis=2)
    profile = picture.metadata.icc_profile
    if profile is None or profile[16:20] != b"GRAY":
        return _changed(picture, pixels, icc_profile=profile)
    return _changed(picture, pixels, "its colour profile is of gray and was left out of an RGB picture")


def _changed(picture: Picture, pixels: Pixels, *warnings: str, icc_profile: bytes | None = None) -> Picture:
    metadata: Metadata = replace(picture.metadata, icc_profile=icc_profile)
    # A header of 1 bit would make it a 1-bit picture still.
    header = picture.header
    if header is not None and header.bits == 1:
        header = replace(header, bits=8)
    return replace(
        picture,
        pixels=pixels,
        color=Color.RGB,
        header=header,
        metadata=metadata,
        warnings=(*picture.warnings, *warnings),
    )


def _through_profile(pixels: Pixels, profile: bytes) -> tuple[Pixels, bytes]:
    import imagecodecs

    made = bytes(imagecodecs.cms_profile("srgb"))
    srgb = made[: ICC_DATE.start] + DATE + made[ICC_DATE.stop :]
    converted: Any = imagecodecs.cms_transform(
        np.ascontiguousarray(pixels),
        profile,
        srgb,
        colorspace="cmyk",
        outcolorspace="rgb",
        intent=RELATIVE_COLORIMETRIC,
        flags=BLACK_POINT_COMPENSATION,
    )
    return np.asarray(converted, pixels.dtype), srgb


def _ink_to_rgb(pixels: Pixels) -> Pixels:
    """What ink and black leave of white, rounded to nearest."""
    most = np.uint32(65535 if pixels.dtype == np.uint16 else 255)
    result = np.empty((*pixels.shape[:2], 3), pixels.dtype)
    step = max(1, BAND_SAMPLES // pixels[0].size)
    for top in range(0, len(pixels), step):
        left = most - pixels[top : top + step].astype(np.uint32)
        result[top : top + step] = (left[..., :3] * left[..., 3:] + most // 2) // most
    return result
