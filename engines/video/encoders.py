"""Encoders that can be asked for: their options, and the largest pictures they take."""

from __future__ import annotations

from dataclasses import dataclass, field

from efdn.errors import VideoError
from engines.video import libav

DEFAULT_CRF = 16.0

LEVEL_6_2 = 35_651_584
"""Pixels of the largest picture in level 6.2 of H.264 and H.265, and 6.3 of AV1: beyond it few players go."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """An encoder of FFmpeg's.

    Attributes:
        name: FFmpeg's.
        quality: its option of constant quality, or None if it has none.
        highest_crf: the worst quality it takes.
        preset: its option between speed and size, or None if it has none.
        longest_side: of a picture, in pixels.
        level_pixels: of a picture that players are bound to play, or None where there is no such bound.
        always: options it is always given.
        parameters: name of the option that takes further parameters, if any.
    """

    name: str
    quality: str | None = "crf"
    highest_crf: int = 51
    preset: str | None = "preset"
    longest_side: int = 16_384
    level_pixels: int | None = LEVEL_6_2
    always: dict[str, str] = field(default_factory=dict)
    parameters: str | None = None


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder(name="libx264", parameters="x264-params"),
        Encoder(name="libx265", always={"x265-params": "log-level=error"}, parameters="x265-params"),
        Encoder(name="libsvtav1", highest_crf=63, parameters="svtav1-params"),
        Encoder(
            name="libvpx-vp9",
            highest_crf=63,
            preset="cpu-used",
            longest_side=65_535,
            always={"b": "0", "row-mt": "1"},
        ),
        Encoder(name="h264_nvenc", quality="cq", longest_side=4096),
        Encoder(name="hevc_nvenc", quality="cq", longest_side=8192),
        Encoder(name="av1_nvenc", quality="cq", highest_crf=63, longest_side=8192),
        Encoder(name="prores_ks", quality=None, preset=None, longest_side=65_535, level_pixels=None),
        Encoder(name="ffv1", quality=None, preset=None, longest_side=65_535, level_pixels=None),
    )
}

DEFAULT_ENCODERS = {
    "webm": ("libvpx-vp9", "libsvtav1"),
    "": ("libx264", "libx265"),
}
"""For 8 bits and for more, by container."""


def find_encoder(name: str | None, format_name: str, bits: int) -> Encoder:
    """The encoder asked for, or the container's default.

    Args:
        name: asked for, or None.
        format_name: FFmpeg's name of the container.
        bits: of a sample.

    Raises:
        VideoError: it is not one of `ENCODERS`.
    """
    if name is None:
        name = DEFAULT_ENCODERS.get(format_name, DEFAULT_ENCODERS[""])[bits > 8]
    if name not in ENCODERS:
        raise VideoError(f"no video codec {name}: expected one of {', '.join(ENCODERS)}")
    return ENCODERS[name]


def formats_of(encoder: Encoder) -> tuple[str, ...]:
    """Pixel formats that an encoder takes here.

    Raises:
        VideoError: this FFmpeg does not have it.
    """
    formats = libav.pixel_formats_of(encoder.name)
    if formats is None:
        raise VideoError(f"the codec {encoder.name} is not in the FFmpeg that PyAV brings here: choose another")
    return formats


def choose_pixel_format(encoder: Encoder, *, chroma: str, bits: int) -> str:
    """The pixel format nearest to a source's: as many bits, or the next that are more, and the same subsampling.

    Args:
        encoder: to encode with.
        chroma: "420", "422", "444" or "gray"; others become 444.
        bits: of a sample.

    Raises:
        VideoError: the encoder has no format that is fit.
    """
    offered = formats_of(encoder)
    depths = [depth for depth in (8, 10, 12, 16) if depth >= bits] or [16]
    # Fewer bits only after all that keep them; the subsampling goes first, as it is seen less.
    for depth in [*depths, *(depth for depth in (12, 10, 8) if depth < bits)]:
        for layout in dict.fromkeys((chroma, "420" if chroma == "gray" else "444", "422", "444", "420")):
            name = _format_name(layout, depth)
            if name in offered:
                return name
    raise VideoError(f"the codec {encoder.name} takes no YUV pictures: choose another with --codec")


def _format_name(chroma: str, bits: int) -> str:
    stem = "gray" if chroma == "gray" else f"yuv{chroma if chroma in ('420', '422', '444') else '444'}p"
    return stem if bits == 8 else f"{stem}{bits}le"


def encoder_options(encoder: Encoder, *, crf: float | None, preset: str | None) -> dict[str, str]:
    """What an encoder is to be given.

    Raises:
        VideoError: it has no such quality or preset.
    """
    options = dict(encoder.always)
    if crf is not None and encoder.quality is None:
        raise VideoError(f"the codec {encoder.name} has no crf: leave it out, or choose another codec")
    if crf is not None and crf > encoder.highest_crf:
        raise VideoError(f"the codec {encoder.name} takes a crf of 0 to {encoder.highest_crf}, got {crf:g}")
    if preset is not None and encoder.preset is None:
        raise VideoError(f"the codec {encoder.name} has no presets: leave it out, or choose another codec")
    if encoder.quality is not None:
        options[encoder.quality] = f"{DEFAULT_CRF if crf is None else crf:g}"
    if preset is not None and encoder.preset is not None:
        options[encoder.preset] = preset
    return options
