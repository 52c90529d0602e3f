"""Engines whose results can be worked out by hand, pictures of every kind, and `efdn-infer` run in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cli.infer
import engines.comparison.engines  # Before choose_engine is replaced, which it takes as a default.
import engines.select
from efdn.errors import DeviceMemoryError, EngineError
from efdn.pictures.picture import Color, Metadata, Picture
from efdn.shapes import ShapeRange, Side
from engines.feeds import check_feeds
from engines.protocol import Arrays, Dim, Engine, ModelInfo, TensorSpec
from engines.select import Choice
from tests.conftest import noise

Array = NDArray[Any]

ANY_SHAPE = ShapeRange(min=(13, 13), opt=(13, 13), max=None)
TOP = {"uint8": 255, "uint16": 65535, "float32": 1}
LIMIT = 1 << 24
"""Most pixels of a picture that tests read."""


def fixed(height: int, width: int) -> ShapeRange:
    """One shape and no other."""
    return ShapeRange(min=(height, width), opt=(height, width), max=(height, width))


def between(least: int, most: int) -> ShapeRange:
    """Squares and oblongs within two sides."""
    return ShapeRange(min=(least, least), opt=(most, most), max=(most, most))


class FakeEngine(Engine):
    """Repeats pixels, or means of three by three pixels, in which case what lies beside a tile matters.

    Args:
        scale: magnification.
        shapes: that it takes; others are refused, as engines do.
        takes: dtype of its input.
        gives: dtype of its output.
        blurs: whether it takes means; at the edges of what it is given, the outermost pixels are repeated.
        most_pixels: more are more than its memory holds.

    Attributes:
        sides: height and width of every picture that it was given.
        corrupt: changes its results.
    """

    def __init__(
        self,
        scale: int = 2,
        shapes: tuple[ShapeRange, ...] = (ANY_SHAPE,),
        *,
        takes: str = "float32",
        gives: str = "float32",
        data_range: float = 255.0,
        blurs: bool = False,
        most_pixels: int | None = None,
    ) -> None:
        self.name, self.detail = "fake", "repeats pixels"
        self.model = ModelInfo(name="nearest", scale=scale, data_range=data_range)
        self.shapes = shapes
        self.inputs = (_spec("x", takes, shapes, 1),)
        self.outputs = (_spec("y", gives, shapes, scale),)
        self.blurs, self.most_pixels = blurs, most_pixels
        self.sides: list[Side] = []
        self.corrupt: Callable[[Array], Array] = lambda y: y
        self.closed = False

    def infer(self, feeds: Mapping[str, Array]) -> Arrays:
        if self.closed:
            raise EngineError("nearest is closed: open it again")
        check_feeds("nearest", self.inputs, feeds)
        x, spec = feeds["x"], self.inputs[0]
        side = (x.shape[spec.side_axes[0]], x.shape[spec.side_axes[1]])
        assert any(shapes.takes(side) for shapes in self.shapes), f"given {side}"
        self.sides.append(side)
        if self.most_pixels is not None and side[0] * side[1] > self.most_pixels:
            raise DeviceMemoryError("out of memory: no room", needed_bytes=2, free_bytes=1)
        planes = x.transpose(0, 3, 1, 2).astype(np.float32) if spec.picture else x
        if self.blurs:
            planes = blurred(planes)
        scale = self.model.scale
        y = planes.repeat(scale, axis=2).repeat(scale, axis=3)
        if self.outputs[0].picture:
            y = np.rint(y).astype(np.uint8).transpose(0, 2, 3, 1)
        return {"y": np.ascontiguousarray(self.corrupt(y))}

    def close(self) -> None:
        self.closed = True


def blurred(planes: Array) -> Array:
    """(N, C, H, W) as means of three by three, the outermost pixels repeated."""
    height, width = planes.shape[2:]
    around = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    sums = sum(around[:, :, top : top + height, left : left + width] for top in range(3) for left in range(3))
    return np.asarray(sums / 9, np.float32)


def blurred_picture(pixels: Array) -> Array:
    """(H, W, C) as means of three by three, float32."""
    return np.asarray(blurred(pixels.transpose(2, 0, 1)[None].astype(np.float32))[0].transpose(1, 2, 0))


def repeated(pixels: Array, scale: int = 2) -> Array:
    """What an engine that repeats pixels makes of a picture."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _spec(name: str, dtype: str, shapes: tuple[ShapeRange, ...], scale: int) -> TensorSpec:
    height, width = (Dim(scale * _least(shapes, axis), _most(shapes, axis, scale)) for axis in (0, 1))
    batch, channels = Dim(1, 1), Dim(3, 3)
    dims = (batch, height, width, channels) if dtype == "uint8" else (batch, channels, height, width)
    return TensorSpec(name=name, dtype=dtype, dims=dims)


def _least(shapes: tuple[ShapeRange, ...], axis: int) -> int:
    return min(one.min[axis] for one in shapes)


def _most(shapes: tuple[ShapeRange, ...], axis: int, scale: int) -> int | None:
    highest = [None if one.max is None else one.max[axis] for one in shapes]
    return None if None in highest else scale * max(most for most in highest if most is not None)


def random_pixels(height: int, width: int, channels: int, dtype: str = "uint8", seed: int = 0) -> Array:
    """(height, width, channels) over the whole range of the type, floats 0 to 1."""
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.random((height, width, channels), dtype=np.float32)
    return random.integers(0, TOP[dtype], (height, width, channels), dtype=dtype, endpoint=True)


def picture_of(
    color: Color, *, alpha: bool = False, dtype: str = "uint8", height: int = 20, width: int = 31, seed: int = 0
) -> Picture:
    """Noise of a kind; opacity is never 0, so that no colour is hidden."""
    opacity = random_pixels(height, width, 1, dtype, seed + 1)[..., 0] if alpha else None
    if opacity is not None:
        opacity = np.maximum(opacity, np.asarray(1 / 255 if dtype == "float32" else 1, opacity.dtype))
    return Picture(
        pixels=random_pixels(height, width, color.channels, dtype, seed),
        alpha=opacity,
        color=color,
        metadata=Metadata(dpi=(72.0, 36.0)),
    )


def whole(picture: Picture) -> Array:
    """(H, W, channels), alpha last."""
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line of stdout as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(kw_only=True)
class Infer:
    """`efdn-infer` on a fake engine, in this process.

    Attributes:
        engine: that it opens.
    """

    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    engine: FakeEngine = field(default_factory=FakeEngine)

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Said:
        self.engine.closed = False

        def choose(*_: object, **__: object) -> Choice:
            return Choice(engine=self.engine)

        self.patch.setattr(engines.select, "choose_engine", choose)
        return run_infer(self.patch, self.capture, *arguments, stdin=stdin)


def run_infer(
    patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], *arguments: object, stdin: bytes = b""
) -> Said:
    """Runs `efdn-infer` in this process, on whatever engine it finds."""
    patch.setattr(sys, "argv", ["efdn-infer", *map(str, arguments)])
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
    with pytest.raises(SystemExit) as caught:
        cli.infer.entry()
    out, err = capture.readouterr()
    assert "Traceback" not in out + err
    assert isinstance(caught.value.code, int)
    return Said(caught.value.code, out, err)


def no_parts_in(folder: Path) -> bool:
    """Whether nothing half-written lies in a folder."""
    return not [path for path in folder.rglob("*") if path.name.endswith(".part") or path.name.startswith(".efdn")]


def picture(path: str, seed: int = 0, height: int = 14, width: int = 17) -> Path:
    """A small picture at a path, with its folders."""
    made = Path(path)
    made.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(height, width, seed)).save(made)
    return made


def files(folder: str = ".") -> set[str]:
    """All files below a folder."""
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def pixels_of(path: str) -> Array:
    """As Pillow reads it."""
    with Image.open(path) as image:
        return np.asarray(image)
