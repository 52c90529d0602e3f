"""What is wanted of files that are upscaled."""

from __future__ import annotations

from dataclasses import dataclass, field

from efdn.errors import ConfigError
from efdn.pictures.rows import DEFAULT_SAVING, SaveOptions
from engines.pictures.options import DEFAULT_ENLARGING, EnlargeOptions
from engines.video.options import VideoOptions

MAX_PIXELS = 100_000_000
"""Of a picture, unless raised: what is larger is more often an attack than a photo."""

SAME = "same"
"""As an ending: the source's own format."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is wanted of files that are upscaled.

    Attributes:
        enlarging: of their pixels.
        saving: of pictures' files.
        video: of videos.
        ending: of results' names, such as ".webp", or `SAME`; None is what holds each picture without loss.
        all_frames: whether all frames of an animation, or pages of a file, are taken rather than the first.
        max_pixels: of a picture; larger ones are refused before they are decoded.
        compare: whether a sheet beside each result compares it with bicubic upscaling.
    """

    enlarging: EnlargeOptions = DEFAULT_ENLARGING
    saving: SaveOptions = DEFAULT_SAVING
    video: VideoOptions = field(default_factory=VideoOptions)
    ending: str | None = None
    all_frames: bool = False
    max_pixels: int = MAX_PIXELS
    compare: bool = False

    def __post_init__(self) -> None:
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels must be at least 1, got {self.max_pixels}")
        if self.compare and self.all_frames:
            raise ConfigError("compare shows one picture, and all frames are asked for: leave out one of them")
