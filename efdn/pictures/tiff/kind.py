"""What kind of picture a TIFF page holds, and which are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from efdn.pictures.picture import Color, Layout
from efdn.pictures.stored import Source, kind_in_words

if TYPE_CHECKING:
    from tifffile import TiffPage

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
COLORS = {
    WHITE_IS_ZERO: Color.GRAY,
    BLACK_IS_ZERO: Color.GRAY,
    RGB: Color.RGB,
    PALETTE: Color.RGB,
    SEPARATED: Color.CMYK,
    YCBCR: Color.RGB,
}
OTHER_COLORS = {4: "a mask", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "a camera's raw picture", 34892: "raw"}

NONE, JPEG = 1, 7
FAX = (2, 3, 4)
COMPRESSIONS = {NONE, *FAX, 5, JPEG, 8, 32773, 32946, 34926, 50000}
"""None, CCITT's for fax, LZW, JPEG, deflate, PackBits, deflate, Zstandard twice."""

DEPTHS = (1, 2, 4, 8, 10, 12, 14, 16)
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
ASSOCIATED, UNASSOCIATED = 1, 2
INK_SET, CMYK_INKS = 332, 1
LARGEST_TILE = 64 << 20
"""In bytes; larger ones must be the picture's own size."""


@dataclass(frozen=True, kw_only=True)
class TiffKind:
    """How a page's samples are to be understood.

    Attributes:
        layout: of the picture once they are.
        bits: of a sample in the file, 8 for a palette.
        stored_bits: of a sample or index.
        words: the kind, for people.
        photometric: TIFF's number of it.
        samples: how many a pixel has that are no alpha or further channels.
        alpha_at: which of a pixel's samples is alpha; None without.
        premultiplied: whether colours were multiplied with it.
        left_out: what is not read, as a sentence; empty if nothing.
    """

    layout: Layout
    bits: int
    stored_bits: int
    words: str
    photometric: int
    samples: int
    alpha_at: int | None
    premultiplied: bool
    left_out: str


def kind_of_page(source: Source, page: TiffPage) -> TiffKind:
    """The kind of a page.

    Raises:
        ImageError: too large, or of a kind that is not read.
    """
    source.check(page.imagewidth, page.imagelength)
    _refuse_others(source, page)
    photometric, bits = int(page.photometric), int(page.bitspersample)
    color = COLORS[photometric]
    samples = 1 if photometric == PALETTE else color.channels
    extra = page.samplesperpixel - samples
    if extra < 0:
        raise ValueError(f"{page.samplesperpixel} samples a pixel are too few for {color.value}")
    meanings = [int(meaning) for meaning in page.extrasamples[:extra]]
    alphas = [index for index, meaning in enumerate(meanings) if meaning in (ASSOCIATED, UNASSOCIATED)]
    bilevel = bits == 1 and samples == 1 and not alphas and photometric != PALETTE
    layout = Layout(
        width=page.imagewidth,
        height=page.imagelength,
        color=color,
        alpha=bool(alphas),
        bits=1 if bilevel else 8 if bits <= 8 or photometric == PALETTE else 16,
    )
    told = 8 if photometric == PALETTE or (bits == 1 and not bilevel) else bits
    unread = extra - len(alphas[:1])
    palette = "palette with alpha" if alphas else "palette"
    return TiffKind(
        layout=layout,
        bits=told,
        stored_bits=bits,
        words=palette if photometric == PALETTE else kind_in_words(layout, told),
        photometric=photometric,
        samples=samples,
        alpha_at=samples + alphas[0] if alphas else None,
        premultiplied=bool(alphas) and meanings[alphas[0]] == ASSOCIATED,
        left_out=f"{unread} channels besides colour and opacity were left out" if unread else "",
    )


def _refuse_others(source: Source, page: TiffPage) -> None:
    """Raises ImageError for what is not read, with what to convert it to."""
    to_rgb = "convert it to 8- or 16-bit RGB"
    photometric, compression = _number(page.photometric), _number(page.compression)
    if page.sampleformat != UNSIGNED or page.bitspersample not in DEPTHS:
        numbers = {SIGNED: "signed ", FLOAT: "floating-point "}.get(_number(page.sampleformat), "")
        raise source.refused(f"a TIFF of {page.bitspersample}-bit {numbers}numbers", to_rgb)
    if photometric not in COLORS:
        raise source.refused(f"a TIFF in {OTHER_COLORS.get(photometric, f'colours of kind {photometric}')}", to_rgb)
    if photometric == SEPARATED and page.tags.valueof(INK_SET, CMYK_INKS) != CMYK_INKS:
        raise source.refused("a TIFF in other inks than CMYK", "convert it to CMYK or RGB")
    if photometric == YCBCR and compression != JPEG and (page.is_subsampled or page.bitspersample != 8):
        raise source.refused("a TIFF in YCbCr with colours at less than full resolution", to_rgb)
    if compression in FAX and not _has_fax():
        raise source.refused(
            f"a TIFF compressed like a fax, by method {compression}", "save it with LZW, deflate or none"
        )
    if compression not in COMPRESSIONS:
        raise source.refused(f"a TIFF compressed by method {compression}", "save it with LZW, deflate or none")
    if page.imagedepth != 1 or page.samplesperpixel > 64:
        raise source.refused(f"a volume of {page.imagedepth} slices and {page.samplesperpixel} channels", to_rgb)
    if page.is_tiled:
        tile = page.tilewidth * page.tilelength * page.samplesperpixel * 2
        if tile > max(LARGEST_TILE, 8 * page.imagewidth * page.imagelength * page.samplesperpixel):
            raise ValueError(f"tiles of {page.tilewidth}x{page.tilelength} are larger than the picture")


def _has_fax() -> bool:
    """Whether imagecodecs has these codecs; on Python 3.10 there is none so new."""
    import imagecodecs

    return hasattr(imagecodecs, "ccittfax4_decode")


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int) else -1
