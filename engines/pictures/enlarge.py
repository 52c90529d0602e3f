"""A picture of any kind, upscaled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from efdn.pictures.convert import bleed, on_background, to_bits, to_rgb
from efdn.pictures.metadata import enlarged
from efdn.pictures.picture import Layout, Metadata, Picture, Pixels
from efdn.pictures.resize import resized_rows
from engines.pictures.channels import alpha_rows, color_rows, converted, side_by_side
from engines.pictures.options import DEFAULT_ENLARGING, EnlargeOptions
from engines.pictures.target import becomes_rgb, enlarged_layout
from engines.protocol import Engine
from engines.tiling.samples import check_depth


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """An upscaled picture in the making.

    Attributes:
        layout: its size and kind.
        metadata: what it carries.
        rows: (n, width, channels), alpha last, of the layout's dtype, from top to bottom; asking for the next ones
            runs the network.
        warnings: what was left out, one sentence each.
    """

    layout: Layout
    metadata: Metadata
    rows: Iterator[Pixels] = field(repr=False)
    warnings: tuple[str, ...]


def enlarge(engine: Engine, picture: Picture, options: EnlargeOptions = DEFAULT_ENLARGING) -> Enlarged:
    """Upscales a picture, keeping its kind, its depth and what it carries.

    Colours under full transparency, which nobody sees, are replaced by those of visible neighbours before the network
    sees them: edges stay without fringes.

    Args:
        engine: an open engine.
        picture: of any kind; floats, with white 1, give floats.
        options: what is wanted.

    Raises:
        UsageError: options that contradict each other, or tiles that do not fit.
        EngineError: the engine keeps 8 bits only, and more are asked for. While rows are made: see `samples.run_tile`.
    """
    scale, source = engine.model.scale, picture.layout
    layout = enlarged_layout(source, scale, options)
    check_depth(engine, layout.dtype)
    if becomes_rgb(source, options):
        picture = to_rgb(picture)
    if engine.inputs[0].picture:
        picture = _eight_bits(picture)
    full = replace(picture.layout, width=scale * source.width, height=scale * source.height, bits=max(8, layout.bits))
    rows = _rows(engine, picture, options, layout.dtype)
    rows = resized_rows(rows, full, layout.width, layout.height)
    if picture.alpha is not None and options.background is not None:
        rows = _flattened(rows, options.background)
    if layout.bits == 1:
        rows = (to_bits(block, 1) for block in rows)
    factors = (layout.width / source.width, layout.height / source.height)
    metadata = enlarged(picture.metadata, factors=factors, width=layout.width, height=layout.height)
    return Enlarged(layout=layout, metadata=metadata, rows=rows, warnings=picture.warnings)


def _rows(engine: Engine, picture: Picture, options: EnlargeOptions, dtype: str) -> Iterator[Pixels]:
    """All channels of the upscaled picture, before it is resized."""
    if picture.alpha is None:
        return color_rows(engine, picture.pixels, picture.color, options.tiling, dtype)
    colors = bleed(picture.pixels, picture.alpha)
    return side_by_side(
        [
            color_rows(engine, colors, picture.color, options.tiling, dtype),
            alpha_rows(engine, picture.alpha, options.alpha, options.tiling, dtype),
        ]
    )


def _flattened(rows: Iterator[Pixels], background: tuple[int, int, int]) -> Iterator[Pixels]:
    for block in rows:
        colors = block[..., :-1]
        yield on_background(colors, block[..., -1], background[: colors.shape[2]])


def _eight_bits(picture: Picture) -> Picture:
    """For engines that take bytes; who wants 16 bits of them has been refused before."""
    alpha = None if picture.alpha is None else converted(picture.alpha, "uint8")
    return replace(picture, pixels=converted(picture.pixels, "uint8"), alpha=alpha)
