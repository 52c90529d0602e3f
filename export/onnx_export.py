"""Weights in, a verified ONNX file and its sidecar out."""

from __future__ import annotations

import time
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.sidecar import Sidecar, staged_pair, write_sidecar
from efdn.upscaler import Upscaler
from efdn.weights import load_network
from export.artefacts import describe, onnx_name, shape_range
from export.options import OnnxOptions
from export.report import verification_report
from export.report_page import check_report_folder, write_report
from export.verified_graph import Notify, silent, verified_graph


def export_onnx(
    weights: Path = DEFAULT_WEIGHTS,
    target: Path | None = None,
    *,
    options: OnnxOptions,
    report: Path | None = None,
    notify: Notify = silent,
) -> Sidecar:
    """Exports weights to an ONNX file with a sidecar beside it.

    Args:
        weights: any weights file.
        target: the file to write, `.onnx`; by default `onnx_name` in the working folder.
        options: how the graph is written.
        report: folder for a report on every stage; none is made without.
        notify: told what is being done.

    Returns:
        The sidecar written; its `file` is the target's name.

    Raises:
        WeightsError: the weights cannot be read.
        ConfigError: a shape that the network does not take.
        UsageError: passes that its architecture does not have.
        ParityError: the graph's output is not PyTorch's; nothing but the report is written.
        OutputError: the target or the report cannot be written.
    """
    started = time.perf_counter()
    network = load_network(weights)
    options = options.fitted(network.config)
    target = target if target is not None else Path(onnx_name(network, weights, options))
    with staged_pair(target) as (temporary, description):
        if report is not None:
            report_stages(network, weights, options, report, notify)
        graph = verified_graph(network, weights, options, notify, written_to=temporary)
        shapes = (shape_range(options.shape, network.config.smallest_side),)
        sidecar = describe(
            target, graph.content, graph, shapes=shapes, batch=None if options.shape is None else 1, started=started
        )
        write_sidecar(description, sidecar)
    return sidecar


def report_stages(network: Upscaler, weights: Path, options: OnnxOptions, folder: Path, notify: Notify) -> None:
    """Verifies every stage, writes the report, and only then raises what failed.

    Raises:
        ParityError: a stage fails; the report shows it.
        OutputError: the report cannot be written.
    """
    check_report_folder(folder)
    report = verification_report(network, options, notify)
    facts = [
        ("weights", weights.name),
        ("network", str(network.config)),
        ("precision", options.precision.value),
        ("input and output", options.io.value),
        ("opset", str(options.opset)),
        ("passes", ", ".join(options.passes) or "none"),
    ]
    if options.keep_fp32:
        facts.append(("kept in FP32", ", ".join(options.keep_fp32)))
    write_report(folder, report, f"Verification of {weights.name}", facts)
    report.require()
