"""What is written beside an artefact, and how artefacts are named."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from pathlib import Path

from efdn.config import MIN_SIDE
from efdn.files import sha256_of_bytes, sha256_of_file
from efdn.network import EFDN
from efdn.sidecar import EngineBuild, ShapeRange, Sidecar
from efdn.version import __version__
from export.precision import Precision
from export.trt_builders import EngineBuilder
from export.verification import as_figures
from export.verified_graph import DEFAULT_OPSET, OnnxOptions, VerifiedGraph

TOOLS = ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy")


def describe(
    target: Path,
    content: bytes,
    graph: VerifiedGraph,
    *,
    shape: ShapeRange,
    started: float,
    build: EngineBuild | None = None,
) -> Sidecar:
    """The sidecar of an artefact.

    Args:
        target: where the artefact is to stand.
        content: of the artefact.
        graph: the graph that it is, or was built from.
        shape: heights and widths it takes.
        started: when the export began, by `time.perf_counter`.
        build: for engines.
    """
    config = graph.network.config
    return Sidecar(
        kind="onnx" if build is None else "engine",
        file=target.name,
        sha256=sha256_of_bytes(content),
        scale=config.upscale,
        data_range=config.data_range,
        precision=graph.options.precision.value,
        shape=shape,
        opset=graph.options.opset,
        weights=graph.weights.name,
        weights_sha256=sha256_of_file(graph.weights),
        parity=as_figures(graph.parity),
        tools=tool_versions(),
        seconds=round(time.perf_counter() - started, 3),
        build=build,
    )


def shape_range(shape: tuple[int, int] | None) -> ShapeRange:
    """What a graph of that static shape, or without one, takes."""
    if shape is None:
        return ShapeRange(min=(MIN_SIDE, MIN_SIDE), opt=(256, 256), max=None)
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


def onnx_name(network: EFDN, weights: Path, options: OnnxOptions) -> str:
    """File name that carries weights, scale, shape, precision and an opset that is not the default."""
    shape = "dynamic" if options.shape is None else "{}x{}".format(*options.shape)
    opset = "" if options.opset == DEFAULT_OPSET else f"_op{options.opset}"
    return f"{_stem(network, weights)}_{shape}_{options.precision.value}{opset}.onnx"


def engine_name(network: EFDN, weights: Path, precision: Precision, shape: ShapeRange, builder: EngineBuilder) -> str:
    """File name that carries weights, scale, shapes, precision, runtime and targets that are not the default."""
    sides = (shape.opt,) if shape.static else (shape.min, shape.opt, shape.max or shape.opt)
    shapes = "-".join(f"{height}x{width}" for height, width in sides)
    targets = "" if builder.usual_targets else "_" + "-".join(builder.targets)
    return f"{_stem(network, weights)}_{shapes}_{precision.value}_{builder.runtime}{targets}.engine"


def _stem(network: EFDN, weights: Path) -> str:
    """The weights' name, with the scale if it does not say it."""
    scale = f"x{network.config.upscale}"
    return weights.stem if weights.stem.endswith(f"_{scale}") else f"{weights.stem}_{scale}"
