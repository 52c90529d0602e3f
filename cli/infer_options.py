"""Options of `efdn-infer`, and what they ask for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from efdn.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from engines.batch.sources import Sources
    from engines.batch.targets import Existing
    from engines.inference.wanted import Wanted
    from engines.options import RunOptions
    from engines.pictures.options import EnlargeOptions
    from engines.video.options import VideoOptions

PROGRAM = "efdn-infer"

RAY = "--ray"
ANY_CLUSTER, OWN_CLUSTER = "auto", "local"
"""Addresses of --ray that are none: what runs already, else one for this run; and one for this run."""

ALL = "all"
"""Of --frames: every frame of an animation; and of --engine: every engine."""


@dataclass(frozen=True, kw_only=True)
class InferOptions:
    """Options as they stand on the command line; see `efdn-infer --help`."""

    output: Optional[Path]
    suffix: Optional[str]
    extension: Optional[str]
    skip_existing: bool
    overwrite: bool
    jobs: int
    model: Optional[Path]
    engine: str
    threads: Optional[int]
    scale: Optional[float]
    size: Optional[str]
    tile: Optional[int]
    tile_overlap: int
    pad: Optional[int]
    verify_tiles: bool
    alpha: str
    background: Optional[str]
    color: str
    bits: Optional[int]
    quality: Optional[int]
    compression: Optional[int]
    frames: Optional[str]
    codec: Optional[str]
    crf: Optional[float]
    preset: Optional[str]
    pixel_format: Optional[str]
    preview: bool
    drop_streams: bool
    compare: bool
    max_pixels: Optional[int]
    ray: Optional[str]
    ray_cores: Optional[int]
    json_lines: bool
    quiet: bool
    verbose: bool


def wanted_of(options: InferOptions) -> Wanted:
    """What the options ask for.

    Raises:
        UsageError: options that cannot be understood, are out of range, or contradict each other.
    """
    from efdn.pictures.rows import SaveOptions
    from engines.inference.wanted import MAX_PIXELS, SAME, Wanted

    ending = options.extension
    if ending is not None and ending != SAME:
        ending = f".{ending.lower().removeprefix('.')}"
        check_extension(ending)
    if options.quiet and options.verbose:
        raise UsageError("--quiet and --verbose contradict each other: give one of them")
    try:
        return Wanted(
            enlarging=_enlarging(options),
            saving=SaveOptions(quality=options.quality, compression=options.compression),
            video=_video(options),
            ending=ending,
            all_frames=options.frames == ALL,
            max_pixels=MAX_PIXELS if options.max_pixels is None else options.max_pixels,
            compare=options.compare,
        )
    except ConfigError as error:  # Of the user's, as they come from the command line.
        raise UsageError(str(error)) from error


def engine_options(options: InferOptions) -> RunOptions:
    """How the engine is to run.

    Raises:
        UsageError: more threads than there are cores, or none.
    """
    from engines.options import RunOptions

    try:
        return RunOptions(threads=options.threads)
    except ConfigError as error:  # Of the user's, as it comes from the command line.
        raise UsageError(f"--{error}") from error


def existing_of(options: InferOptions) -> Existing:
    """What becomes of results that are there.

    Raises:
        UsageError: both kinds are asked for.
    """
    from engines.batch.targets import Existing

    if options.skip_existing and options.overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other: give one of them")
    if options.overwrite:
        return Existing.OVERWRITE
    return Existing.SKIP if options.skip_existing else Existing.REFUSE


def check_kinds(options: InferOptions, sources: Sources) -> None:
    """Raises UsageError for options of videos where there is none, and for those of pictures where there is none."""
    frames = None if options.frames == ALL else options.frames
    of_videos = {"--codec": options.codec, "--crf": options.crf, "--preset": options.preset, "--frames A:B": frames}
    of_videos |= {"--pixel-format": options.pixel_format, "--preview": options.preview or None}
    of_videos |= {"--drop-streams": options.drop_streams or None}
    of_pictures = {"--bits": options.bits, "--background": options.background, "--compare": options.compare or None}
    of_pictures |= {"--quality": options.quality, "--compression": options.compression}
    of_pictures |= {"--color": None if options.color == "keep" else options.color}
    of_pictures |= {"--frames all": options.frames if options.frames == ALL else None}
    for kind, given, concerned in (
        ("videos", of_videos, any(source.video for source in sources.found)),
        ("pictures", of_pictures, not all(source.video for source in sources.found)),
    ):
        asked = [name for name, value in given.items() if value is not None]
        if asked and not concerned:
            raise UsageError(f"{asked[0]} is for {kind}, and there is none among what was given: leave it out")


def check_extension(ending: str) -> None:
    """Raises UsageError for an ending that nothing is written with."""
    from efdn.pictures.formats import FORMATS
    from engines.video.containers import CONTAINERS

    known = [name for chosen in FORMATS for name in chosen.endings] + list(CONTAINERS)
    if ending not in known:
        raise UsageError(f"--ext takes {', '.join(name[1:] for name in known)} or same, got {ending[1:]!r}")


def suffix_of(options: InferOptions, scale: int) -> str:
    """What names of results end in: by default "_x4", or another scale, and "_1920x1080" for a size."""
    if options.suffix is not None:
        return options.suffix
    if options.size is not None:
        return f"_{options.size.strip().lower().replace('%', 'pct')}"
    return f"_x{scale if options.scale is None else format(options.scale, 'g')}"


def _enlarging(options: InferOptions) -> EnlargeOptions:
    from efdn.pictures.colour import parse_colour
    from engines.pictures.options import AlphaBy, EnlargeOptions
    from engines.tiling.options import TileOptions

    if options.alpha not in tuple(AlphaBy):
        raise UsageError(f"--alpha takes efdn or bicubic, got {options.alpha!r}")
    if options.color not in ("keep", "rgb"):
        raise UsageError(f"--color takes keep or rgb, got {options.color!r}")
    return EnlargeOptions(
        tiling=TileOptions(side=options.tile, overlap=options.tile_overlap, pad=options.pad),
        alpha=AlphaBy(options.alpha),
        rgb=options.color == "rgb",
        bits=options.bits,
        background=None if options.background is None else parse_colour(options.background),
        size=_size(options),
    )


def _size(options: InferOptions) -> Optional[str]:
    from efdn.pictures.resize import parse_size

    if options.scale is None:
        if options.size is not None:
            parse_size(options.size, 1000, 1000)
        return options.size
    if options.size is not None:
        raise UsageError("--scale and --size contradict each other: give one of them")
    if not 0 < options.scale <= 64:
        raise UsageError(f"--scale takes a number above 0, at most 64, got {options.scale:g}")
    return f"{100 * options.scale:.6f}%"


def _video(options: InferOptions) -> VideoOptions:
    from engines.video.options import VideoOptions

    return VideoOptions(
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        pixel_format=options.pixel_format,
        frames=None if options.frames in (None, ALL) else parse_frames(str(options.frames)),
        preview=options.preview,
        leave_out=options.drop_streams,
    )


def parse_frames(text: str) -> tuple[int, Optional[int]]:
    """ "10:50" as (10, 50), "10:" as (10, None), ":50" as (0, 50).

    Raises:
        UsageError: none of these.
    """
    found = re.fullmatch(r"(\d*):(\d*)", text.strip())
    if found is None or text.strip() == ":":
        raise UsageError(f"--frames takes 'all' for animations, or A:B for videos such as 0:100, got {text!r}")
    return int(found[1] or 0), int(found[2]) if found[2] else None


def folder_of_results(output: Optional[Path]) -> tuple[Path, ...]:
    """What not to look for sources in."""
    return () if output is None or (output.suffix and not output.is_dir()) else (output,)


def fill_in_ray(arguments: list[str]) -> list[str]:
    """Puts "auto" behind a `--ray` that has no address: the word behind it is a picture or folder then.

    A word that is neither is left to be an address, so that it is refused before any work: a misspelt one must not
    send pictures to another cluster.
    """
    result: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return result + arguments[index:]
        result.append(argument)
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if argument == RAY and (following.startswith("-") or not following or _is_source(following)):
            result.append(ANY_CLUSTER)
    return result


def _is_source(word: str) -> bool:
    """Whether it names a picture or folder, or is a pattern; "auto" and "local" are words of `--ray`."""
    if word in (ANY_CLUSTER, OWN_CLUSTER):
        return False
    if os.path.lexists(word):
        return True
    return re.search(r"[*?[]", word) is not None and re.fullmatch(r"\[.*\]:[0-9]+", word) is None


def check_run(options: InferOptions) -> None:
    """Raises UsageError for options of the run that do not go together, whatever its sources are."""
    if str(options.output) == "-":
        raise UsageError("results go to files, not to standard output: give a file or folder with -o")
    if options.jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {options.jobs}")
    if options.ray is not None and options.threads is not None:
        raise UsageError("--threads is for the engine of this machine: with --ray, give --ray-cores")
    if options.ray is None and options.ray_cores is not None:
        raise UsageError("--ray-cores is for the workers of a cluster: add --ray, or leave it out")
    if options.ray is not None and options.verify_tiles:
        raise UsageError("--verify-tiles measures the engine of this machine: leave out --ray")
    if options.ray is not None and options.engine == ALL:
        raise UsageError("--engine all compares the engines of this machine: leave out --ray, or name one engine")
    if options.engine == ALL and options.verify_tiles:
        raise UsageError("--verify-tiles measures one engine, and --engine all asks for every one: name one")
