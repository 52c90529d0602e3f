"""What a request asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from pydantic import BaseModel, ConfigDict, Field

from efdn.errors import UsageError
from efdn.pictures.colour import parse_colour
from efdn.pictures.formats import FORMATS
from efdn.pictures.resize import parse_size
from efdn.pictures.rows import SaveOptions
from engines.batch.names import printable
from engines.inference.wanted import SAME, Wanted
from engines.pictures.options import AlphaBy, EnlargeOptions

ENDINGS = tuple(ending[1:] for chosen in FORMATS for ending in chosen.endings)
LONGEST_SHOWN = 60
"""Characters of a value in a message."""

ID_PATTERN = r"^[A-Za-z0-9_-]{8,64}$"
SIZE_PATTERN = r"^\s*([0-9]{1,7}[xX]([0-9]{1,7})?|[xX][0-9]{1,7}|[0-9]{1,7}(\.[0-9]{1,6})?%)\s*$"


TAKES = {
    "engine": "the name of an engine, as /engines lists them, or auto",
    "scale": "a number above 0 and at most 64",
    "size": "1920x1080, 1920x, x1080 or 150%",
    "format": f"{', '.join(ENDINGS)} or {SAME}",
    "quality": "a whole number of 1 to 100",
    "compression": "a whole number of 0 to 9",
    "alpha": "efdn or bicubic",
    "background": "a colour such as white or #ffee00",
    "color": "keep or rgb",
    "bits": "1, 8 or 16",
    "frames": "first or all",
    "name": "a file name of at most 1024 characters",
    "id": "8 to 64 letters, digits, _ or -",
}
"""What each parameter takes, in words."""


class Asked(BaseModel):
    """Parameters of `POST /upscale`; they mean what the options of `efdn-infer` do."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    engine: str = Field("auto", max_length=64, description="Name of an engine, as /engines lists them, or auto.")
    scale: Optional[float] = Field(None, gt=0, le=64, description="Times as large; the network's own scale if absent.")
    size: Optional[str] = Field(
        None, pattern=SIZE_PATTERN, examples=["1920x1080", "1920x", "x1080", "150%"], description="Of the result."
    )
    format: Optional[str] = Field(
        None,
        max_length=8,
        json_schema_extra={"enum": [*ENDINGS, SAME]},
        description="Ending of the result's format, or same; what holds the picture without loss if absent.",
    )
    quality: Optional[int] = Field(None, ge=1, le=100, description="Of JPEG (95), AVIF (90) and WebP (lossless).")
    compression: Optional[int] = Field(None, ge=0, le=9, description="Effort of lossless formats.")
    alpha: Literal["efdn", "bicubic"] = Field("efdn", description="What upscales transparency.")
    background: Optional[str] = Field(
        None, max_length=64, examples=["white", "#ffee00"], description="Colour to put transparent pictures on."
    )
    color: Literal["keep", "rgb"] = Field("keep", description="rgb converts gray and CMYK.")
    bits: Optional[int] = Field(
        None, json_schema_extra={"enum": [1, 8, 16]}, description="Of a sample; as in the picture if absent."
    )
    frames: Literal["first", "all"] = Field("first", description="Of animations, and pages of TIFFs.")
    name: Optional[str] = Field(None, max_length=1024, description="File name of a picture that is sent as it is.")
    id: Optional[str] = Field(None, pattern=ID_PATTERN, description="Under which /progress tells how far it is.")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a request asks for, understood.

    Attributes:
        engine: its name, or "auto".
        wanted: of the result.
        suffix: of the result's name, None for the one by the engine's scale.
        name: what the client calls its picture; None if it does not say so in the address.
        id: under which progress is asked for.
    """

    engine: str
    wanted: Wanted
    suffix: str | None
    name: str | None
    id: str | None


def misunderstood(name: str, value: object) -> str:
    """What is wrong with a parameter, in one line.

    Args:
        name: as the client wrote it.
        value: likewise.
    """
    if name not in TAKES:
        return f"unknown parameter {_short(name)}: expected {', '.join(TAKES)}"
    return f"{name} takes {TAKES[name]}, got {_short(value)}"


def _short(value: object) -> str:
    return printable(repr(value if len(str(value)) <= LONGEST_SHOWN else f"{str(value)[:LONGEST_SHOWN]}..."))


def understood(asked: Asked, max_pixels: int) -> Order:
    """What the parameters ask for.

    Raises:
        UsageError, ConfigError: they are out of range, or contradict each other.
    """
    if asked.format is not None and asked.format.lower() not in (*ENDINGS, SAME):
        raise UsageError(misunderstood("format", asked.format))
    if asked.scale is not None and asked.size is not None:
        raise UsageError("scale and size contradict each other: give one of them")
    if asked.size is not None:
        parse_size(asked.size, 1000, 1000)
    enlarging = EnlargeOptions(
        alpha=AlphaBy(asked.alpha),
        rgb=asked.color == "rgb",
        bits=asked.bits,
        background=None if asked.background is None else parse_colour(asked.background),
        size=asked.size if asked.scale is None else f"{100 * asked.scale:.6f}%",
    )
    wanted = Wanted(
        enlarging=enlarging,
        saving=SaveOptions(quality=asked.quality, compression=asked.compression),
        ending=_ending(asked.format),
        all_frames=asked.frames == "all",
        max_pixels=max_pixels,
    )
    return Order(engine=asked.engine, wanted=wanted, suffix=_suffix(asked), name=asked.name, id=asked.id)


def _ending(asked: str | None) -> str | None:
    if asked is None or asked.lower() == SAME:
        return None if asked is None else SAME
    return f".{asked.lower()}"


def _suffix(asked: Asked) -> str | None:
    """As `efdn-infer` ends names of results."""
    if asked.size is not None:
        return f"_{asked.size.strip().lower().replace('%', 'pct')}"
    return None if asked.scale is None else f"_x{asked.scale:g}"
