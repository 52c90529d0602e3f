"""What an upscaled picture will be, known before any work."""

from __future__ import annotations

from dataclasses import replace

from efdn.errors import UsageError
from efdn.pictures.picture import Color, Layout
from efdn.pictures.resize import parse_size
from engines.pictures.options import EnlargeOptions


def enlarged_layout(layout: Layout, scale: int, options: EnlargeOptions) -> Layout:
    """Size and kind of the result.

    Args:
        layout: of the picture.
        scale: of the network.
        options: what is wanted.

    Raises:
        UsageError: options that contradict each other for such a picture.
    """
    color = Color.RGB if becomes_rgb(layout, options) else layout.color
    if options.background is not None and layout.alpha and color is Color.CMYK:
        raise UsageError("--background is a colour of RGB, the picture is CMYK: give --color rgb as well")
    alpha = layout.alpha and options.background is None
    bits = options.bits or max(8, layout.bits)
    if bits == 1 and (color is not Color.GRAY or alpha):
        raise UsageError(f"--bits 1 is for gray pictures without alpha, this one is {layout}: give --bits 8")
    width, height = scale * layout.width, scale * layout.height
    if options.size is not None:
        width, height = parse_size(options.size, layout.width, layout.height)
    return replace(layout, width=width, height=height, color=color, alpha=alpha, bits=bits)


def becomes_rgb(layout: Layout, options: EnlargeOptions) -> bool:
    """Whether such a picture is converted before it is upscaled: because that is wanted, or to lie on a colour."""
    if options.rgb:
        return layout.color is not Color.RGB
    on_colour = options.background is not None and len(set(options.background)) > 1
    return on_colour and layout.alpha and layout.color is Color.GRAY
