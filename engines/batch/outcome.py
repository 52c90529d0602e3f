"""What became of each picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from engines.batch.names import json_name, printable


class Status(str, Enum):
    """How it ended with a picture."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Seconds of work, waiting not counted.

    Attributes:
        read_s: reading and decoding.
        infer_s: the network and what goes with it on the calling thread.
        write_s: encoding and writing.
    """

    read_s: float = 0.0
    infer_s: float = 0.0
    write_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.read_s + self.infer_s + self.write_s

    def __add__(self, other: Stages) -> Stages:
        return Stages(
            read_s=self.read_s + other.read_s,
            infer_s=self.infer_s + other.infer_s,
            write_s=self.write_s + other.write_s,
        )

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return {name: round(value, 6) for name, value in vars(self).items()}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one picture.

    Attributes:
        source: the file, or what else was named.
        target: where its result is, or was to be; None if it got none.
        status: how it ended.
        reason: why it was not done, one sentence; None if it was.
        stages: what it took.
        width: of the result, in pixels; None if there is none.
        height: likewise.
        warnings: what was left out, one sentence each.
        extra: what else is to stand in the JSON.
        traceback: of an error that nobody foresaw.
    """

    source: Path
    target: Path | None = None
    status: Status
    reason: str | None = None
    stages: Stages = field(default_factory=Stages)
    width: int | None = None
    height: int | None = None
    warnings: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    traceback: str | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """Of work on it. Stages of different pictures overlap, so that a run takes less than their sum."""
        return self.stages.seconds

    def to_json(self) -> dict[str, Any]:
        """Plain values that any UTF-8 stream takes."""
        return {
            **json_name("source", self.source),
            **json_name("target", self.target),
            "status": self.status.value,
            "reason": None if self.reason is None else printable(self.reason),
            "seconds": round(self.seconds, 6),
            **self.stages.to_json(),
            "width": self.width,
            "height": self.height,
            "warnings": [printable(warning) for warning in self.warnings],
            **self.extra,
        }
