"""Weights in, a verified ONNX file and its sidecar out."""

from __future__ import annotations

import time
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.sidecar import Sidecar, staged_pair, write_sidecar
from efdn.weights import load_network
from export.artefacts import describe, onnx_name, shape_range
from export.options import OnnxOptions
from export.verified_graph import Notify, silent, verified_graph


def export_onnx(
    weights: Path = DEFAULT_WEIGHTS, target: Path | None = None, *, options: OnnxOptions, notify: Notify = silent
) -> Sidecar:
    """Exports weights to an ONNX file with a sidecar beside it.

    Args:
        weights: any weights file.
        target: the file to write, `.onnx`; by default `onnx_name` in the working folder.
        options: how the graph is written.
        notify: told what is being done.

    Returns:
        The sidecar written; its `file` is the target's name.

    Raises:
        WeightsError: the weights cannot be read.
        ParityError: the graph's output is not PyTorch's; nothing is written.
        OutputError: the target cannot be written.
    """
    started = time.perf_counter()
    network = load_network(weights)
    target = target if target is not None else Path(onnx_name(network, weights, options))
    with staged_pair(target) as (temporary, description):
        graph = verified_graph(network, weights, options, notify, written_to=temporary)
        sidecar = describe(target, graph.content, graph, shapes=(shape_range(options.shape),), started=started)
        write_sidecar(description, sidecar)
    return sidecar
