"""Weights in, a TensorRT engine with proof of its precision out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ExportError
from efdn.sidecar import Sidecar, staged_pair, write_sidecar
from efdn.weights import load_network
from export.artefacts import describe, engine_name
from export.build_progress import Progress, quiet
from export.built_engine import described_build, plan_facts, require_precision
from export.engine_check import engine_parity, why_not_here
from export.onnx_export import report_stages
from export.options import EngineOptions, default_opset
from export.plan import Plan
from export.plan_page import check_plan_target, write_plan
from export.precision import Precision
from export.trt_builders import BuildRequest, BuiltEngine, EngineBuilder
from export.verification import as_figures
from export.verified_graph import Notify, VerifiedGraph, silent, verified_graph

FIRST_TARGET_WITH_BF16 = 80


@dataclass(frozen=True, kw_only=True)
class ExportedEngine:
    """What came of an export.

    Attributes:
        sidecar: as written; its `file` is the engine's name.
        plan: kernels of the engine.
        not_run: why the engine was not run here; None where it was, and compared.
    """

    sidecar: Sidecar
    plan: Plan
    not_run: str | None


def export_engine(
    weights: Path = DEFAULT_WEIGHTS,
    target: Path | None = None,
    *,
    builder: EngineBuilder,
    options: EngineOptions,
    plan: Path | None = None,
    report: Path | None = None,
    notify: Notify = silent,
    progress: Progress = quiet,
) -> ExportedEngine:
    """Builds a TensorRT engine from weights, by way of a verified ONNX graph.

    Args:
        weights: any weights file.
        target: the file to write; by default `artefacts.engine_name` in the working folder.
        builder: which TensorRT builds it, and for which GPUs.
        options: precision, shapes, passes.
        plan: JSON file for the engine's kernels, with a page of that name beside it.
        report: folder for a report on every stage up to the graph.
        notify: told what is being done.
        progress: told how far the build is.

    Raises:
        ParityError: the graph's output, or that of the engine where it can run, is not
            PyTorch's; no engine is written.
        ConfigError: a shape that the network does not take.
        UsageError: passes that its architecture does not have.
        ExportError: the build failed, or gave no half precision although it was asked for.
        OutputError: the target, the plan or the report cannot be written.
    """
    started = time.perf_counter()
    require_targets(builder, options.precision)
    require_typed(builder, options)
    network = load_network(weights)
    options.check_shapes(network.config)
    graph_options = options.graph_options(_graph_opset(options, builder)).fitted(network.config)
    target = target if target is not None else Path(engine_name(network, weights, options, builder))
    if plan is not None:
        check_plan_target(plan, target)
    with staged_pair(target) as (temporary, description):
        if report is not None:
            report_stages(network, weights, graph_options, report, notify)
        graph = verified_graph(network, weights, graph_options, notify)
        notify("building the engine")
        built = _build(builder, graph, options, progress)
        build = described_build(builder, built, single=len(options.shapes) == 1 and options.batch == 1)
        sidecar = describe(
            target, built.content, graph, shapes=options.shapes, batch=options.batch, started=started, build=build
        )
        parity = why_not_here(sidecar) or engine_parity(built.content, sidecar, graph)
        if not isinstance(parity, str):
            sidecar = replace(sidecar, parity={**sidecar.parity, **as_figures(parity)})
        temporary.write_bytes(built.content)
        write_sidecar(description, sidecar)
        if plan is not None:
            write_plan(plan, built.plan, f"Plan of {target.name}", plan_facts(sidecar, build))
    return ExportedEngine(sidecar=sidecar, plan=built.plan, not_run=parity if isinstance(parity, str) else None)


def require_targets(builder: EngineBuilder, precision: Precision) -> None:
    """Raises ExportError where a GPU generation to build for lacks the precision; TensorRT would say so at run time."""
    lacking = [target for target in builder.targets if int(target.removeprefix("sm")) < FIRST_TARGET_WITH_BF16]
    if precision is Precision.BF16 and lacking:
        raise ExportError(f"bf16 needs sm80 or later, {', '.join(lacking)} lacks it: leave it out, or use --fp16")


def require_typed(builder: EngineBuilder, options: EngineOptions) -> None:
    """Raises ExportError for what TensorRT 8 cannot promise, where a flag decides, not the types of the graph."""
    if builder.opset_limit is None:
        return
    asked = "--bf16" if options.precision is Precision.BF16 else "--keep-fp32" if options.keep_fp32 else None
    if asked is not None:
        raise ExportError(f"{asked} needs TensorRT 10 or later, where the types of the graph decide: leave it out")


def _build(builder: EngineBuilder, graph: VerifiedGraph, options: EngineOptions, progress: Progress) -> BuiltEngine:
    request = BuildRequest(
        graph=graph.content,
        precision=options.precision,
        io=options.io,
        shapes=options.shapes,
        batch=options.batch,
    )
    built = builder.build(request, progress)
    require_precision(built, options.precision)
    return built


def _graph_opset(options: EngineOptions, builder: EngineBuilder) -> int:
    limit = builder.opset_limit
    if options.opset is not None and limit is not None and options.opset > limit:
        raise ExportError(
            f"the installed {builder.runtime} reads ONNX up to opset {limit}, got --opset {options.opset}: leave it out"
        )
    usual = default_opset(options.precision)
    return options.opset if options.opset is not None else min(usual, limit or usual)
