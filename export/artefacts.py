"""What is written beside an artefact, and how artefacts are named."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from pathlib import Path

from efdn.config import MIN_SIDE
from efdn.deployment import DEFAULT_PIPELINE, usual_passes
from efdn.files import sha256_of_bytes, sha256_of_file
from efdn.shapes import ShapeRange
from efdn.sidecar import EngineBuild, Sidecar
from efdn.upscaler import Upscaler
from efdn.version import __version__
from export.io_format import IOFormat
from export.options import EngineOptions, OnnxOptions, default_opset
from export.trt_builders import EngineBuilder
from export.verification import as_figures
from export.verified_graph import VerifiedGraph

TOOLS = ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy")


def describe(
    target: Path,
    content: bytes,
    graph: VerifiedGraph,
    *,
    shapes: tuple[ShapeRange, ...],
    batch: int | None,
    started: float,
    build: EngineBuild | None = None,
) -> Sidecar:
    """The sidecar of an artefact.

    Args:
        target: where the artefact is to stand.
        content: of the artefact.
        graph: the graph that it is, or was built from.
        shapes: heights and widths it takes.
        batch: pictures it takes at once; None if unbounded.
        started: when the export began, by `time.perf_counter`.
        build: for engines.
    """
    config = graph.network.config
    return Sidecar(
        kind="onnx" if build is None else "engine",
        file=target.name,
        sha256=sha256_of_bytes(content),
        architecture=config.architecture,
        scale=config.upscale,
        data_range=config.data_range,
        io=graph.options.io.value,
        precision=graph.options.precision.value,
        keep_fp32=graph.options.keep_fp32,
        passes=graph.options.passes,
        shapes=shapes,
        batch=batch,
        opset=graph.options.opset,
        graph_sha256=sha256_of_bytes(graph.content),
        weights=graph.weights.name,
        weights_sha256=sha256_of_file(graph.weights),
        parity=as_figures(graph.parity),
        tools=tool_versions(),
        seconds=round(time.perf_counter() - started, 3),
        build=build,
    )


def shape_range(shape: tuple[int, int] | None, smallest_side: int = MIN_SIDE) -> ShapeRange:
    """What a graph of that static shape, or without one, takes."""
    if shape is None:
        return ShapeRange(min=(smallest_side, smallest_side), opt=(256, 256), max=None)
    return ShapeRange(min=shape, opt=shape, max=shape)


def tool_versions() -> dict[str, str]:
    """Versions of this toolkit, of Python and of those of `TOOLS` that are installed."""
    versions = {"efdn": __version__, "python": platform.python_version()}
    for package in TOOLS:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def onnx_name(network: Upscaler, weights: Path, options: OnnxOptions) -> str:
    """File name that carries weights, scale, shape, precision, and what is not the default."""
    shape = "dynamic" if options.shape is None else "{}x{}".format(*options.shape)
    io = "_uint8" if options.io is IOFormat.UINT8 else ""
    opset = "" if options.opset == default_opset(options.precision) else f"_op{options.opset}"
    usual = usual_passes(network.config, DEFAULT_PIPELINE, pictures=options.io is IOFormat.UINT8)
    mark = _mark(options.passes, options.keep_fp32, usual)
    return f"{_stem(network, weights)}_{shape}_{options.precision.value}{io}{opset}{mark}.onnx"


def engine_name(network: Upscaler, weights: Path, options: EngineOptions, builder: EngineBuilder) -> str:
    """File name that carries weights, scale, shapes, precision, runtime, and what is not the default."""
    texts = [_sides_text(shape) for shape in options.shapes]
    io = "" if options.io is IOFormat.UINT8 else "_float32"
    targets = "" if builder.usual_targets else "_" + "-".join(builder.targets)
    stem = _stem(network, weights)
    usual = usual_passes(network.config, options.pipeline, pictures=options.io is IOFormat.UINT8)
    mark = _mark(usual if options.passes is None else options.passes, options.keep_fp32, usual)
    texts += [] if options.batch == 1 else [f"b{options.batch}"]
    return f"{stem}_{'_'.join(texts)}_{options.precision.value}{io}_{builder.runtime}{targets}{mark}.engine"


def _mark(passes: tuple[str, ...], keep_fp32: tuple[str, ...], usual: tuple[str, ...]) -> str:
    """A few letters that tell other passes and kept parts apart; none for the default."""
    if passes == usual and not keep_fp32:
        return ""
    return "_" + sha256_of_bytes(repr((passes, keep_fp32)).encode())[:6]


def _sides_text(shape: ShapeRange) -> str:
    sides = (shape.opt,) if shape.static else (shape.min, shape.opt, shape.max or shape.opt)
    return "-".join("{}x{}".format(*side) for side in sides)


def _stem(network: Upscaler, weights: Path) -> str:
    """The weights' name, with the scale if it does not say it."""
    scale = f"x{network.config.upscale}"
    return weights.stem if weights.stem.endswith(f"_{scale}") else f"{weights.stem}_{scale}"
