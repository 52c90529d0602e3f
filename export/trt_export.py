"""Weights in, a TensorRT engine with proof of its precision out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.config import MIN_SIDE
from efdn.errors import ConfigError, ExportError
from efdn.files import sha256_of_bytes
from efdn.sidecar import EngineBuild, ShapeRange, Sidecar, staged_pair, write_sidecar
from efdn.weights import load_network
from export.artefacts import describe, engine_name, shape_range
from export.build_progress import Progress, quiet
from export.precision import Precision
from export.trt_builders import BuildRequest, BuiltEngine, EngineBuilder
from export.verified_graph import DEFAULT_OPSET, Notify, OnnxOptions, silent, verified_graph

STATIC_256 = shape_range((256, 256))


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What engine to build.

    Attributes:
        precision: of weights and activations.
        shape: heights and widths to take; one shape is fastest.
        opset: of the graph it is built from; the newest that the builder reads if None.
    """

    precision: Precision = Precision.FP16
    shape: ShapeRange = STATIC_256
    opset: int | None = None

    def __post_init__(self) -> None:
        low, opt, high = self.shape.min, self.shape.opt, self.shape.max
        if high is None:
            raise ConfigError("an engine needs a largest shape: give --max")
        if min(low) < MIN_SIDE:
            raise ConfigError(f"shapes must be at least {MIN_SIDE}x{MIN_SIDE}, got {low[0]}x{low[1]}")
        for axis, name in enumerate(("height", "width")):
            if not low[axis] <= opt[axis] <= high[axis]:
                raise ConfigError(
                    f"{name}s must satisfy min <= opt <= max, got {low[axis]}, {opt[axis]} and {high[axis]}"
                )


def export_engine(
    weights: Path = DEFAULT_WEIGHTS,
    target: Path | None = None,
    *,
    builder: EngineBuilder,
    options: EngineOptions,
    notify: Notify = silent,
    progress: Progress = quiet,
) -> Sidecar:
    """Builds a TensorRT engine from weights, by way of a verified ONNX graph.

    Args:
        weights: any weights file.
        target: the file to write; by default `artefacts.engine_name` in the working folder.
        builder: which TensorRT builds it, and for which GPUs.
        options: precision and shapes.
        notify: told what is being done.
        progress: told how far the build is.

    Returns:
        The sidecar written; its `file` is the target's name.

    Raises:
        ParityError: the graph's output is not PyTorch's; nothing is built.
        ExportError: the build failed, or gave no half precision although it was asked for.
        OutputError: the target cannot be written.
    """
    started = time.perf_counter()
    network = load_network(weights)
    target = (
        target if target is not None else Path(engine_name(network, weights, options.precision, options.shape, builder))
    )
    with staged_pair(target) as (temporary, description):
        graph_options = _graph_options(options, builder)
        graph = verified_graph(network, weights, graph_options, notify)
        notify("building the engine")
        built = builder.build(
            BuildRequest(graph=graph.content, precision=options.precision, shape=options.shape), progress
        )
        require_precision(built, options.precision)
        temporary.write_bytes(built.content)
        sidecar = describe(
            target,
            built.content,
            graph,
            shape=options.shape,
            started=started,
            build=EngineBuild(
                runtime=builder.runtime,
                tensorrt_version=built.version,
                gpu_targets=built.gpu_targets,
                onnx_sha256=sha256_of_bytes(graph.content),
                kernels=len(built.plan.kernels),
                half_share=round(built.plan.half_share, 4),
                build_seconds=round(built.seconds, 3),
            ),
        )
        write_sidecar(description, sidecar)
    return sidecar


def require_precision(built: BuiltEngine, precision: Precision) -> None:
    """Raises ExportError where half precision was asked for and no kernel of the engine has it."""
    if precision is not Precision.FP16:
        return
    if not built.plan.kernels:
        raise ExportError("the builder listed no kernels, so that half precision cannot be proved: nothing is written")
    if built.plan.half_share == 0:
        raise ExportError(
            f"--fp16 was asked for, but none of the engine's {len(built.plan.kernels)} kernels is in half precision"
        )


def _graph_options(options: EngineOptions, builder: EngineBuilder) -> OnnxOptions:
    limit = builder.opset_limit
    if options.opset is not None and limit is not None and options.opset > limit:
        raise ExportError(
            f"the installed {builder.runtime} reads ONNX up to opset {limit}, got --opset {options.opset}: leave it out"
        )
    opset = options.opset if options.opset is not None else min(DEFAULT_OPSET, limit or DEFAULT_OPSET)
    return OnnxOptions(
        precision=options.precision, opset=opset, shape=options.shape.opt if options.shape.static else None
    )
