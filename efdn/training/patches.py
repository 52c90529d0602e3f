"""Batches of random patches, each a function of its number alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from efdn.errors import ConfigError, ImageError
from efdn.training.pictures import BadPictureError, Pair, PictureCache

Pixels: TypeAlias = NDArray[np.uint8]

MIRROR_COLUMNS, MIRROR_ROWS, TRANSPOSE = 1, 2, 4
SYMMETRIES = 8
COUNTERS = 2
"""Of the random generator, for each sample."""

SHOWN_REASONS = 3


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Patches and what they come from.

    Attributes:
        lr: (N, h, w, 3) uint8, RGB, contiguous.
        hr: (N, scale * h, scale * w, 3) uint8, RGB, contiguous.
        names: of the N pictures.
    """

    lr: Pixels
    hr: Pixels
    names: tuple[str, ...]


class PatchSource:
    """Draws patches from pictures, at random but the same for the same seed and files.

    Pictures are drawn uniformly, whatever their sizes, and places within a picture
    uniformly. Sample i of the process `rank` is number `rank * batch + i` of the
    iteration, and what a number gives depends on the seed, the iteration and the files
    alone: not on threads, not on what was drawn before. So training resumes by its
    iteration number, and two processes with four samples each see what one with
    eight sees. A picture that cannot be used is passed over for another.

    Args:
        cache: the pictures.
        patch: side of the HR patches in pixels; a multiple of the scale.
        batch: samples in each batch of this process.
        seed: 0 to 2**64 - 1.
        rank: number of this process.
        world: number of processes.
        augment: whether patches are mirrored and turned, all eight ways alike.

    Attributes:
        skipped: pictures that were passed over, with the reason; grows while batches are drawn.

    Raises:
        ConfigError: a value out of its range.
    """

    def __init__(
        self,
        cache: PictureCache,
        *,
        patch: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        augment: bool = True,
    ) -> None:
        if batch < 1:
            raise ConfigError(f"batch must be at least 1, got {batch}")
        if not 0 <= seed < 1 << 64:
            raise ConfigError(f"seed must be in 0..2**64-1, got {seed}")
        if not 0 <= rank < world:
            raise ConfigError(f"rank must be in 0..{world - 1}, got {rank}")
        self._cache = cache
        self._patch = self._checked(patch)
        self._count = batch
        self._seed = seed
        self._first = rank * batch
        self._augment = augment
        self._shorter_sides: dict[int, int] = {}
        self.skipped: dict[str, str] = {}

    def batch(self, iteration: int, patch: int | None = None) -> Batch:
        """The batch of an iteration; for any number of threads.

        Args:
            iteration: not negative.
            patch: side of the HR patches where it is another than usual.

        Raises:
            ConfigError: the patch is no multiple of the scale.
            ImageError: no picture can be used.
        """
        side = self._patch if patch is None else self._checked(patch)
        hr = np.empty((self._count, side, side, 3), np.uint8)
        lr = np.empty((self._count, side // self._cache.scale, side // self._cache.scale, 3), np.uint8)
        names = []
        for i, (picture, stride, row, column, symmetry, *_) in enumerate(self._numbers(iteration)):
            index, pair = self._usable(picture, stride, side)
            self._copy(pair, (hr[i], lr[i]), (row, column), symmetry)
            names.append(self._cache.sources[index].name)
        return Batch(lr=lr, hr=hr, names=tuple(names))

    def _checked(self, patch: int) -> int:
        scale = self._cache.scale
        if patch < scale or patch % scale:
            raise ConfigError(f"patch must be a positive multiple of the scale {scale}, got {patch}")
        return patch

    def _numbers(self, iteration: int) -> list[list[int]]:
        """Random 64-bit numbers for each sample of this process, which are its own in the whole iteration."""
        # A counter gives four numbers. These stay the same in all versions of NumPy, distributions may not.
        generator = np.random.Philox(key=self._seed, counter=[self._first * COUNTERS, 0, 0, iteration])
        numbers: list[list[int]] = generator.random_raw((self._count, 4 * COUNTERS)).tolist()
        return numbers

    def _usable(self, number: int, stride: int, side: int) -> tuple[int, Pair]:
        """The picture that a random number stands for, or the next one that can be used."""
        for index in _each_once(len(self._cache), number, stride):
            if self._shorter_sides.get(index, side) < side:
                continue
            try:
                pair = self._cache.pair(index)
            except BadPictureError as error:
                self._skip(index, str(error), shorter_side=0)
                continue
            height, width = pair[0].shape[:2]
            if min(height, width) >= side:
                return index, pair
            self._skip(index, f"{width}x{height} pixels, smaller than a patch of {side}", min(height, width))
        reasons = [f"{name}: {reason}" for name, reason in self.skipped.items()]
        more = "; ..." if len(reasons) > SHOWN_REASONS else ""
        raise ImageError(
            f"none of {len(self._cache)} pictures can be used for patches of {side} pixels "
            f"({'; '.join(reasons[:SHOWN_REASONS])}{more}): give larger pictures or a smaller patch"
        )

    def _skip(self, index: int, reason: str, shorter_side: int) -> None:
        self._shorter_sides[index] = shorter_side
        self.skipped.setdefault(self._cache.sources[index].name, reason)

    def _copy(self, pair: Pair, targets: Sequence[Pixels], place: tuple[int, int], symmetry: int) -> None:
        """Copies the patch at a place, given as random numbers, turned alike in HR and LR."""
        side = targets[1].shape[0]
        height, width = pair[1].shape[:2]
        top, left = _below(height - side + 1, place[0]), _below(width - side + 1, place[1])
        turn = _below(SYMMETRIES, symmetry) if self._augment else 0
        for pixels, target, zoom in zip(pair, targets, (self._cache.scale, 1), strict=True):
            rows, columns = (slice(start * zoom, (start + side) * zoom) for start in (top, left))
            np.copyto(_whole_pixels(target), turned(_whole_pixels(pixels[rows, columns]), turn))


def turned(pixels: NDArray[np.generic], symmetry: int) -> NDArray[np.generic]:
    """One of the eight symmetries of a square, as a view.

    Args:
        pixels: (side, side, ...).
        symmetry: sum of MIRROR_COLUMNS, MIRROR_ROWS and TRANSPOSE, done in this order.
    """
    view = pixels[:: -1 if symmetry & MIRROR_ROWS else 1, :: -1 if symmetry & MIRROR_COLUMNS else 1]
    return view.swapaxes(0, 1) if symmetry & TRANSPOSE else view


def _each_once(count: int, number: int, stride: int) -> Iterator[int]:
    """All of 0..count-1, from a random start on in random strides."""
    index, step = _below(count, number), 1 + _below(max(count - 1, 1), stride)
    while gcd(step, count) > 1:
        step += 1
    for _ in range(count):
        yield index
        index = (index + step) % count


def _below(bound: int, number: int) -> int:
    """A random 64-bit number as one in 0..bound-1."""
    return bound * number >> 64


def _whole_pixels(pixels: Pixels) -> NDArray[np.void]:
    """(H, W, 3) as (H, W) of three bytes each, of which NumPy copies turned views in half the time."""
    return pixels.view("V3")[..., 0]
