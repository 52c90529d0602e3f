"""What graph to write and what engine to build."""

from __future__ import annotations

from dataclasses import dataclass, replace

from efdn.config import MIN_SIDE, NetworkConfig
from efdn.deployment import DEFAULT_PIPELINE, require_passes, usual_passes
from efdn.errors import ConfigError
from efdn.passes.pipeline import PIPELINES, check_passes
from efdn.shapes import ShapeRange
from export.io_format import IOFormat
from export.precision import Precision

LONGEST_SIDE = 8192
LARGEST_BATCH = 64

OPSETS = range(17, 24)
"""Operator sets that can be written, and that ONNX Runtime runs."""

DEFAULT_OPSET, FIRST_OPSET_WITH_BF16 = 20, 22


def default_opset(precision: Precision) -> int:
    """The one to write for where none is asked for: convolutions take bfloat16 only from 22 on."""
    return FIRST_OPSET_WITH_BF16 if precision is Precision.BF16 else DEFAULT_OPSET


BEST_PASSES = (DEFAULT_PIPELINE,)
"""A pipeline's name in place of passes: those that the network's architecture has for it."""


@dataclass(frozen=True, kw_only=True)
class OnnxOptions:
    """How a graph is written.

    Attributes:
        precision: of weights and activations.
        opset: 17 to 23.
        shape: fixes height and width; both are dynamic without.
        batched: whether a graph of a fixed shape takes any number of pictures; others do anyway.
        io: types and layout of input and output.
        passes: that make the graph, see `efdn.passes.pipeline`; or the name of a pipeline alone, for which `fitted`
            puts the passes that the architecture has for it.
        keep_fp32: patterns of parts that stay in FP32, such as `body.0/*`.
    """

    precision: Precision = Precision.FP32
    opset: int = DEFAULT_OPSET
    shape: tuple[int, int] | None = None
    batched: bool = False
    io: IOFormat = IOFormat.FLOAT32
    passes: tuple[str, ...] = BEST_PASSES
    keep_fp32: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise ConfigError(f"opset must be {OPSETS[0]} to {OPSETS[-1]}, got {self.opset}")
        if self.precision is Precision.BF16 and self.opset < FIRST_OPSET_WITH_BF16:
            raise ConfigError(f"bf16 needs opset {FIRST_OPSET_WITH_BF16} or later, got {self.opset}")
        if self.shape is not None:
            check_side(self.shape)
        if self.keep_fp32 and not self.precision.half:
            raise ConfigError("parts can be kept in FP32 only where the rest is not: give --fp16 or --bf16")
        if not self._usual:
            check_passes(self.passes, pictures=self.io is IOFormat.UINT8)

    @property
    def _usual(self) -> bool:
        """Whether `passes` stands for those that are usual."""
        return len(self.passes) == 1 and self.passes[0] in PIPELINES

    def fitted(self, config: NetworkConfig) -> OnnxOptions:
        """The same for a network of that config, with its own passes where none were asked for.

        Raises:
            ConfigError: a shape that the network does not take.
            UsageError: passes that its architecture does not have.
        """
        if self.shape is not None:
            check_taken(self.shape, config)
        if self._usual:
            passes = usual_passes(config, self.passes[0], pictures=self.io is IOFormat.UINT8)
            return replace(self, passes=passes)
        require_passes(config, self.passes)
        return self


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What engine to build.

    Attributes:
        precision: of weights and activations.
        shapes: what to take: one range, or one or several static shapes; one static shape is fastest.
        batch: most pictures to take at once; what it is built to be fastest at.
        opset: of the graph it is built from; the newest that the builder reads if None.
        io: types and layout of input and output.
        passes: that make the graph; those best for TensorRT and the shapes if None.
        keep_fp32: patterns of parts that stay in FP32.
    """

    precision: Precision = Precision.FP16
    shapes: tuple[ShapeRange, ...] = (ShapeRange(min=(256, 256), opt=(256, 256), max=(256, 256)),)
    batch: int = 1
    opset: int | None = None
    io: IOFormat = IOFormat.UINT8
    passes: tuple[str, ...] | None = None
    keep_fp32: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.shapes:
            raise ConfigError("an engine needs a shape: give --shape, or --min, --opt and --max")
        if not 1 <= self.batch <= LARGEST_BATCH:
            raise ConfigError(f"an engine takes 1 to {LARGEST_BATCH} pictures at once, got {self.batch}")
        for shape in self.shapes:
            check_range(shape)
        if len(self.shapes) > 1 and not all(shape.static for shape in self.shapes):
            raise ConfigError("an engine takes one range of shapes, or only static ones: leave out the others")
        if len(set(self.shapes)) < len(self.shapes):
            raise ConfigError(f"shapes must differ, got {', '.join(map(str, self.shapes))}")

    @property
    def static_shape(self) -> tuple[int, int] | None:
        """The one shape, where there is but one."""
        return self.shapes[0].opt if len(self.shapes) == 1 and self.shapes[0].static else None

    @property
    def pipeline(self) -> str:
        """Name of the passes that are best for these shapes."""
        return engine_pipeline(self.shapes)

    def graph_options(self, opset: int) -> OnnxOptions:
        """Those of the graph it is built from.

        Raises:
            UsageError: passes that do not exist, or do not go together.
        """
        return OnnxOptions(
            precision=self.precision,
            opset=opset,
            shape=self.static_shape,
            batched=self.batch > 1,
            io=self.io,
            passes=(self.pipeline,) if self.passes is None else self.passes,
            keep_fp32=self.keep_fp32,
        )

    def check_shapes(self, config: NetworkConfig) -> None:
        """Raises ConfigError for a shape that a network of that config does not take."""
        for shape in self.shapes:
            check_taken(shape.min, config)


def engine_pipeline(shapes: tuple[ShapeRange, ...]) -> str:
    """Name of the passes that are best for these shapes.

    Shifts by slices fuse, but with ranges of shapes TensorRT writes code for every way in
    which a slice may fall, tens of megabytes of it.
    """
    return "tensorrt" if all(shape.static for shape in shapes) else "tensorrt-dynamic"


def check_taken(shape: tuple[int, int], config: NetworkConfig) -> None:
    """Raises ConfigError unless the network takes pictures of this (height, width)."""
    least = config.smallest_side
    if min(shape) < least:
        raise ConfigError(f"{config.architecture} takes shapes from {least}x{least} up, got {shape[0]}x{shape[1]}")


def check_side(shape: tuple[int, int]) -> None:
    """Raises ConfigError unless there is a network that takes pictures of this (height, width)."""
    height, width = shape
    if min(shape) < MIN_SIDE:
        raise ConfigError(f"shapes must be at least {MIN_SIDE}x{MIN_SIDE}, got {height}x{width}")
    if max(shape) > LONGEST_SIDE:
        raise ConfigError(f"shapes must be at most {LONGEST_SIDE} a side, got {height}x{width}")


def check_range(shape: ShapeRange) -> None:
    """Raises ConfigError unless an engine can be built for the range."""
    low, opt, high = shape.min, shape.opt, shape.max
    if high is None:
        raise ConfigError("an engine needs a largest shape: give --max")
    check_side(low)
    check_side(high)
    for axis, name in enumerate(("height", "width")):
        if not low[axis] <= opt[axis] <= high[axis]:
            raise ConfigError(f"{name}s must satisfy min <= opt <= max, got {low[axis]}, {opt[axis]} and {high[axis]}")
