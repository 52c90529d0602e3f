"""Weights in, a TensorRT engine with proof of its precision out."""

from __future__ import annotations

import time
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ExportError
from efdn.sidecar import EngineBuild, Sidecar, staged_pair, write_sidecar
from efdn.weights import load_network
from export.artefacts import describe, engine_name
from export.build_progress import Progress, quiet
from export.options import EngineOptions, default_opset
from export.precision import Precision
from export.trt_builders import BuildRequest, BuiltEngine, EngineBuilder
from export.verified_graph import Notify, silent, verified_graph


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
    target = target if target is not None else Path(engine_name(network, weights, options, builder))
    with staged_pair(target) as (temporary, description):
        graph_options = options.graph_options(_graph_opset(options, builder))
        graph = verified_graph(network, weights, graph_options, notify)
        notify("building the engine")
        built = builder.build(
            BuildRequest(graph=graph.content, precision=options.precision, io=options.io, shapes=options.shapes),
            progress,
        )
        require_precision(built, options.precision)
        temporary.write_bytes(built.content)
        sidecar = describe(
            target,
            built.content,
            graph,
            shapes=options.shapes,
            started=started,
            build=EngineBuild(
                runtime=builder.runtime,
                tensorrt_version=built.version,
                gpu_targets=built.gpu_targets,
                kernels=len(built.plan.kernels),
                half_share=round(built.plan.half_share, 4),
                bytes_moved=built.plan.bytes_moved,
                build_seconds=round(built.seconds, 3),
            ),
        )
        write_sidecar(description, sidecar)
    return sidecar


def require_precision(built: BuiltEngine, precision: Precision) -> None:
    """Raises ExportError where half precision was asked for and no kernel of the engine has it."""
    if not precision.half:
        return
    if not built.plan.kernels:
        raise ExportError("the builder listed no kernels, so that half precision cannot be proved: nothing is written")
    if built.plan.half_share == 0:
        raise ExportError(
            f"--{precision.value} was asked for, but none of the engine's {len(built.plan.kernels)} kernels "
            "is in half precision"
        )


def _graph_opset(options: EngineOptions, builder: EngineBuilder) -> int:
    limit = builder.opset_limit
    if options.opset is not None and limit is not None and options.opset > limit:
        raise ExportError(
            f"the installed {builder.runtime} reads ONNX up to opset {limit}, got --opset {options.opset}: leave it out"
        )
    usual = default_opset(options.precision)
    return options.opset if options.opset is not None else min(usual, limit or usual)
