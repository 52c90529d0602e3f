"""What was measured, picture by picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efdn.errors import ConfigError
from efdn.shapes import Side
from engines.evaluation.conventions import CHALLENGE_BORDER, CONVENTIONS, Convention, Score, mean_score

BICUBIC = "bicubic"
"""Name of the method that every set has beside the engines."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How pictures are measured.

    Attributes:
        convention: see `conventions`.
        border: HR pixels left out on each side.
        pad: LR pixels by which pictures are mirrored outwards before the network.
    """

    convention: Convention = CONVENTIONS["challenge"]
    border: int = CHALLENGE_BORDER
    pad: int = 0

    def __post_init__(self) -> None:
        if self.border < 0:
            raise ConfigError(f"border must be at least 0 pixels, got {self.border}")
        if self.pad < 0:
            raise ConfigError(f"pad must be at least 0 pixels, got {self.pad}")


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """One picture.

    Attributes:
        name: of the HR file, without its ending.
        lr_shape: height and width of the LR picture.
        scores: by method, bicubic first.
    """

    name: str
    lr_shape: Side
    scores: Mapping[str, Score]


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """One set.

    Attributes:
        name: such as "Set5".
        lr_made: whether LR was made of HR, for want of files.
        found: pictures of the set; more than were measured where only some were wanted.
        pictures: those measured.
    """

    name: str
    lr_made: bool
    found: int
    pictures: tuple[PictureScores, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Bicubic, then the engines."""
        return tuple(self.pictures[0].scores)

    def mean(self, method: str) -> Score:
        """Mean over the pictures measured."""
        return mean_score([picture.scores[method] for picture in self.pictures])

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "lr": "made by bicubic" if self.lr_made else "files",
            "pictures_found": self.found,
            "means": {method: self.mean(method).as_json() for method in self.methods},
            "pictures": [
                {
                    "name": picture.name,
                    "lr_shape": list(picture.lr_shape),
                    "scores": {method: entry.as_json() for method, entry in picture.scores.items()},
                }
                for picture in self.pictures
            ],
        }
