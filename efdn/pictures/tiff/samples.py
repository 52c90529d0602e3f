"""The samples of a TIFF page, decoded strip by strip or tile by tile, and made colours."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from efdn.pictures.jpeg.segments import frame_of, split_segments
from efdn.pictures.picture import Pixels
from efdn.pictures.stored import Raster, widened
from efdn.pictures.tiff.kind import JPEG, PALETTE, WHITE_IS_ZERO, YCBCR, TiffKind

if TYPE_CHECKING:
    from tifffile import TiffPage

SEPARATE_PLANES = 2
MOST_READ = 64
"""Times the size of the file."""


def decode_page(page: TiffPage, kind: TiffKind) -> Raster:
    """Decodes a page.

    Raises:
        ValueError: it is broken; codecs raise other kinds too.
    """
    import numpy as np

    samples = _samples(page)
    colors = samples[..., : kind.samples]
    alpha = None
    if kind.alpha_at is not None:
        alpha = np.ascontiguousarray(widened(samples[..., kind.alpha_at], kind.stored_bits))
    if kind.photometric == PALETTE:
        colors = _looked_up(page, colors[..., 0])
        if alpha is not None and alpha.dtype == np.uint16:
            alpha = (alpha >> 8).astype(np.uint8)
    else:
        colors = _widened(colors, kind)
    if kind.photometric == YCBCR and page.compression != JPEG:
        colors = _from_ycbcr(colors)
    if kind.premultiplied and alpha is not None:
        colors = _straight(colors, alpha)
    return Raster(pixels=np.ascontiguousarray(colors), alpha=alpha)


def _samples(page: TiffPage) -> Pixels:
    """(H, W, samples a pixel), of 1 to 16 bits as they are stored."""
    import numpy as np

    planes, _, height, width, contiguous = page.shaped
    whole = np.zeros((planes, height, width, contiguous), np.uint16 if page.bitspersample > 8 else np.uint8)
    if page.is_tiled:
        segments = planes * ceil(height / page.tilelength) * ceil(width / page.tilewidth)
    else:
        segments = planes * ceil(height / page.rowsperstrip)
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:segments]
    if len(places) < segments or not all(offset and size for offset, size in places):
        raise ValueError("parts of the picture are missing")
    file = page.parent.filehandle
    if max(offset + size for offset, size in places) > file.size:
        raise ValueError("the file ends before the picture does")
    # Equal tiles may share their place in the file, but to read all of it time and again is a trap.
    if sum(size for _, size in places) > MOST_READ * file.size:
        raise ValueError("its parts are larger than the file")
    for number, (offset, size) in enumerate(places):
        file.seek(offset)
        content = file.read(size)
        if page.compression == JPEG:
            _check_jpeg(content, page)
        part, (plane, _, top, left, _), _ = page.decode(content, number, jpegtables=page.jpegtables)
        if part is None:
            raise ValueError("parts of the picture are missing")
        area = whole[plane, top:, left:]
        part = part[0, : area.shape[0], : area.shape[1]]
        area[: part.shape[0], : part.shape[1]] = part
    return np.moveaxis(whole[..., 0], 0, -1) if page.planarconfig == SEPARATE_PLANES else whole[0]


def _check_jpeg(content: bytes, page: TiffPage) -> None:
    """A JPEG inside of a TIFF says its size once more, and memory is taken for that."""
    frame = frame_of(split_segments(content)[0])
    width = page.tilewidth if page.is_tiled else page.imagewidth
    height = page.tilelength if page.is_tiled else page.rowsperstrip
    if frame.width > width + 16 or frame.height > min(height, page.imagelength + 4096) + 16:
        raise ValueError(f"a part of {frame.width}x{frame.height} pixels is too large")


def _widened(colors: Pixels, kind: TiffKind) -> Pixels:
    import numpy as np

    wide = widened(colors, kind.stored_bits)
    if kind.photometric == WHITE_IS_ZERO:
        wide = np.iinfo(wide.dtype).max - wide
    return wide


def _looked_up(page: TiffPage, indices: Pixels) -> Pixels:
    """(H, W, 3) uint8 of a palette, which TIFF has in 16 bits."""
    import numpy as np

    if page.colormap is None:
        raise ValueError("its palette is missing")
    palette = np.asarray(page.colormap, np.uint16).T
    # Some programs write 0 to 255 all the same.
    colors = (palette >> 8 if palette.max() > 255 else palette).astype(np.uint8)
    looked_up: Pixels = colors[np.minimum(indices, len(colors) - 1)]
    return looked_up


def _from_ycbcr(samples: Pixels) -> Pixels:
    """RGB of full-range YCbCr with the weights of BT.601, as JPEG and TIFF have it by default."""
    import numpy as np

    y, cb, cr = (samples[..., index].astype(np.float32) for index in range(3))
    red, blue = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    rgb: Pixels = np.rint(np.clip(np.stack([red, green, blue], axis=-1), 0, 255)).astype(np.uint8)
    return rgb


def _straight(colors: Pixels, alpha: Pixels) -> Pixels:
    """Colours divided by the opacity they were multiplied with, to the nearest; black where nothing is to be seen."""
    import numpy as np

    top = int(np.iinfo(colors.dtype).max)
    opacity = alpha[..., None].astype(np.uint32)
    divided = (colors.astype(np.uint32) * top + opacity // 2) // np.maximum(opacity, 1)
    straight: Pixels = np.where(opacity > 0, np.minimum(divided, top), 0).astype(colors.dtype)
    return straight
