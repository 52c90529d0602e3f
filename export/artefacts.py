"""What is written beside an artefact, and how artefacts are named."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from pathlib import Path

from efdn.config import MIN_SIDE
from efdn.files import sha256_of_bytes, sha256_of_file
from efdn.sidecar import EngineBuild, ShapeRange, Sidecar
from efdn.version import __version__
from export.verification import as_figures
from export.verified_graph import VerifiedGraph

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
