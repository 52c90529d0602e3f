"""What a video is to become, checked before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import isqrt
from pathlib import Path

from efdn.errors import OutputError, VideoError
from engines.video import libav
from engines.video.color import RGB
from engines.video.containers import CONTAINERS
from engines.video.encoders import Encoder, choose_pixel_format, encoder_options, find_encoder, formats_of
from engines.video.facts import describe_format
from engines.video.hdr import hdr_options
from engines.video.options import VideoOptions
from engines.video.source_facts import StreamFacts, VideoFacts

COVERS = ("mjpeg", "png")
"""Codecs of cover pictures."""

TRIAL_SIDE = 256
"""Of the picture with which an encoder is tried, in pixels."""


@dataclass(frozen=True, kw_only=True)
class VideoPlan:
    """How a video is going to be written.

    Attributes:
        target: file to write.
        format_name: FFmpeg's name of its container.
        encoder: of the video.
        encoder_options: what it is given.
        pixel_format: of the result.
        bits: of a sample of the result.
        rgb: whether the result is RGB.
        copied: indices of the source's streams that are copied.
        warnings: one sentence each.
    """

    target: Path
    format_name: str
    encoder: Encoder
    encoder_options: dict[str, str]
    pixel_format: str
    bits: int
    rgb: bool
    copied: tuple[int, ...]
    warnings: tuple[str, ...]


def check_video_target(facts: VideoFacts, target: Path, options: VideoOptions, scale: int | None = None) -> VideoPlan:
    """How `target` will be written, once it is known that its container and encoder take the video.

    Its folder need not exist yet.

    Args:
        facts: of the source.
        target: file to write; its ending says the container.
        options: what is wanted.
        scale: magnification, or None where it is not known yet: then sizes are not checked.

    Raises:
        OutputError: unknown ending, a container that does not hold a stream, or the source itself as target.
        VideoError: a codec, quality, preset, pixel format or size that does not go with the rest.
    """
    format_name = CONTAINERS.get(target.suffix.lower())
    if format_name is None:
        raise OutputError(f"cannot write {target}: expected a name ending in {', '.join(CONTAINERS)}")
    if target.exists() and target.samefile(facts.path):
        raise OutputError(f"{target} is the video itself: give another name with -o")
    first = (options.frames or (0, None))[0]
    if facts.frames_listed and facts.frames is not None and first >= facts.frames:
        raise VideoError(f"{facts.path} has {facts.frames} frames, none from {first} on: choose others with --frames")
    facts.color.check()
    encoder = find_encoder(options.codec, format_name, _wanted_bits(facts, options))
    pixel_format = _pixel_format(facts, options, encoder)
    bits, _ = describe_format(libav.pixel_format_of(pixel_format))
    if encoder.name not in libav.codecs_held_by(format_name):
        raise OutputError(
            f"cannot write {target}: {target.suffix} does not hold {encoder.name}; choose a .mkv name, or another codec"
        )
    copied, warnings = _streams(facts, target, format_name, leave_out=options.leave_out)
    plan = VideoPlan(
        target=target,
        format_name=format_name,
        encoder=encoder,
        encoder_options=_encoder_options(facts, options, encoder),
        pixel_format=pixel_format,
        bits=bits,
        rgb=bool(libav.pixel_format_of(pixel_format).is_rgb),
        copied=copied,
        warnings=(*facts.warnings, *warnings, *_changes(facts, options, encoder, pixel_format, bits)),
    )
    try_encoder(plan)
    if scale is not None:
        check_size(plan, scale * facts.width, scale * facts.height)
    return plan


def partial_path(target: Path) -> Path:
    """Where a result is kept that was interrupted: a name that nothing has yet."""
    names = (f"{target.stem}.partial{'' if at == 1 else f'-{at}'}{target.suffix}" for at in count(1))
    return next(path for name in names if not os.path.lexists(path := target.with_name(name)))


def check_size(plan: VideoPlan, width: int, height: int) -> None:
    """Raises VideoError if the encoder or the pixel format does not take pictures of this size."""
    encoder = plan.encoder
    if max(width, height) > encoder.longest_side:
        raise VideoError(
            f"{encoder.name} takes pictures of {encoder.longest_side} pixels a side, the result has {width}x{height}: "
            "choose a smaller --size, or --codec ffv1 with a .mkv name"
        )
    described = libav.pixel_format_of(plan.pixel_format)
    step_x, step_y = 16 // described.chroma_width(16), 16 // described.chroma_height(16)
    if width % step_x or height % step_y:
        raise VideoError(
            f"{plan.pixel_format} needs a width that is a multiple of {step_x} and a height that is one of {step_y}, "
            f"the result has {width}x{height}: choose --pixel-format yuv444p, or an even --size"
        )


def size_warning(plan: VideoPlan, width: int, height: int) -> str | None:
    """What to say of a size that the codec takes but few players do, or None."""
    most = plan.encoder.level_pixels
    if most is None or width * height <= most:
        return None
    return (
        f"the result has {width}x{height} pixels, more than the {most} of the codec's highest common level: "
        f"few players show more than about {isqrt(most * 16 // 9)}x{isqrt(most * 9 // 16)}"
    )


def try_encoder(plan: VideoPlan) -> None:
    """Opens the encoder for a small picture: wrong presets and missing hardware show before any work.

    Raises:
        VideoError: it does not open.
    """
    av = libav.load()
    context = av.CodecContext.create(plan.encoder.name, "w")
    context.width = context.height = TRIAL_SIDE
    context.pix_fmt = plan.pixel_format
    context.time_base = Fraction(1, 25)
    context.framerate = Fraction(25)
    context.options = dict(plan.encoder_options)
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        given = " ".join(f"{key}={value}" for key, value in plan.encoder_options.items())
        raise VideoError(
            f"the encoder {plan.encoder.name} does not start with {plan.pixel_format} {given} "
            f"({libav.one_line(error)}): choose another preset, pixel format or codec"
        ) from error


def _wanted_bits(facts: VideoFacts, options: VideoOptions) -> int:
    if options.pixel_format is None:
        return facts.bits
    return describe_format(libav.pixel_format_of(options.pixel_format))[0]


def _pixel_format(facts: VideoFacts, options: VideoOptions, encoder: Encoder) -> str:
    offered = formats_of(encoder)
    if options.pixel_format is None:
        return choose_pixel_format(encoder, chroma=facts.chroma, bits=facts.bits)
    if options.pixel_format not in offered:
        raise VideoError(
            f"the codec {encoder.name} does not take {options.pixel_format}: expected one of {', '.join(offered)}"
        )
    if any(component.is_alpha for component in libav.pixel_format_of(options.pixel_format).components):
        raise VideoError(f"{options.pixel_format} has transparency, which is not upscaled: choose one without")
    return options.pixel_format


def _encoder_options(facts: VideoFacts, options: VideoOptions, encoder: Encoder) -> dict[str, str]:
    chosen = encoder_options(encoder, crf=options.crf, preset=options.preset)
    for key, value in hdr_options(encoder.name, facts.hdr).items():
        chosen[key] = f"{chosen[key]}:{value}" if key in chosen else value
    return chosen


def _streams(
    facts: VideoFacts, target: Path, format_name: str, *, leave_out: bool
) -> tuple[tuple[int, ...], list[str]]:
    """Which streams are copied, and what is to be said of the others."""
    held = libav.codecs_held_by(format_name)
    copied, warnings, refused = [], [], []
    for stream in facts.others:
        if stream.kind in ("video", "unknown") or (stream.kind == "data" and stream.codec in ("tmcd", "bin_data")):
            continue  # Time codes and chapters are tracks in MOV; they are written anew.
        if stream.kind == "data":
            warnings.append(f"{stream} is left out: data cannot be copied")
        elif stream.kind == "cover" and not holds(format_name, stream, held):
            # In fragments FFmpeg writes an empty track beside each, which players stumble over.
            warnings.append(f"{stream} is left out: a .mkv name would keep it")
        elif holds(format_name, stream, held):
            copied.append(stream.index)
        else:
            refused.append(stream)
    if refused and not leave_out:
        listed = " and ".join(map(str, refused))
        raise OutputError(f"cannot write {target}: {target.suffix} does not hold {listed}; {_way_out(facts)}")
    warnings += [f"{stream} is left out: {target.suffix} does not hold it" for stream in refused]
    return tuple(copied), warnings


def holds(format_name: str, stream: StreamFacts, held: set[str]) -> bool:
    """Whether a container holds a stream of another file as it is."""
    if stream.kind == "attachment":
        return format_name == "matroska" and libav.copies_attachments()
    if stream.kind == "cover":
        return format_name == "matroska" and stream.codec in COVERS and libav.copies_attachments()
    return stream.codec in held


def _way_out(facts: VideoFacts) -> str:
    streams = [stream for stream in facts.others if stream.kind in ("audio", "subtitle", "attachment")]
    for ending, format_name in CONTAINERS.items():
        held = libav.codecs_held_by(format_name)
        if ending != ".m4v" and all(holds(format_name, stream, held) for stream in streams):
            return f"choose a {ending} name, or leave such streams out with --drop-streams"
    return "leave such streams out with --drop-streams"


def _changes(facts: VideoFacts, options: VideoOptions, encoder: Encoder, pixel_format: str, bits: int) -> list[str]:
    """What becomes of the source without having been asked for."""
    found = []
    chroma = describe_format(libav.pixel_format_of(pixel_format))[1]
    if options.pixel_format is None and bits < facts.bits:
        found.append(f"{facts.bits} bits become {bits}: {encoder.name} takes no more")
    if options.pixel_format is None and chroma in ("420", "422") and chroma != facts.chroma:
        found.append(f"{facts.pixel_format} becomes {pixel_format}: {encoder.name} takes nothing nearer")
    if facts.color.matrix == RGB and not libav.pixel_format_of(pixel_format).is_rgb:
        found.append(f"RGB becomes {pixel_format}")
    if (facts.hdr.display or facts.hdr.light) and not hdr_options(encoder.name, facts.hdr):
        found.append(f"HDR metadata of the display and of light levels is left out: {encoder.name} does not write it")
    return found
