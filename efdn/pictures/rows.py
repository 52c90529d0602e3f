"""The seam between what makes a picture's rows and what writes them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from efdn.errors import ConfigError
from efdn.pictures.picture import Pixels


class RowWriter(Protocol):
    """Takes a picture from top to bottom. Rows that are missing in the end are an error."""

    @abstractmethod
    def write(self, rows: Pixels) -> None:
        """Adds rows below those before.

        Args:
            rows: (n, width, channels), alpha last where there is one, of the layout's dtype; n of 1 or more.

        Raises:
            OutputError: they cannot be written.
        """


@dataclass(frozen=True, kw_only=True)
class SaveOptions:
    """How a picture is written. What does not concern a format is left aside by it, unless it was asked for.

    Attributes:
        quality: 1 to 100, of lossy formats; None is 95 for JPEG, lossless for WebP and 90 for AVIF.
        compression: 0 to 9, effort of lossless formats; None is a good balance.
    """

    quality: int | None = None
    compression: int | None = None

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"quality must be 1 to 100, got {self.quality}")
        if self.compression is not None and not 0 <= self.compression <= 9:
            raise ConfigError(f"compression must be 0 to 9, got {self.compression}")


DEFAULT_SAVING = SaveOptions()
