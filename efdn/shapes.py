"""Sizes of pictures that artefacts and engines take."""

from __future__ import annotations

from dataclasses import dataclass

Side = tuple[int, int]
"""Height and width, in pixels."""


@dataclass(frozen=True, kw_only=True)
class ShapeRange:
    """Smallest, usual and largest (height, width) an artefact takes; a maximum of None is unbounded."""

    min: Side
    opt: Side
    max: Side | None

    @property
    def static(self) -> bool:
        """Whether only one shape is taken."""
        return self.min == self.max

    def takes(self, side: Side) -> bool:
        """Whether a picture of that (height, width) lies within."""
        high = self.max if self.max is not None else side
        return all(low <= size <= most for low, size, most in zip(self.min, side, high, strict=True))

    def __str__(self) -> str:
        if self.max is None:
            return "any shape from {}x{}".format(*self.min)
        return "{}x{}".format(*self.opt) if self.static else "{}x{} to {}x{}".format(*self.min, *self.max)
