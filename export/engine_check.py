"""Runs an engine that has just been built, where there is a GPU for it."""

from __future__ import annotations

from collections.abc import Callable

from efdn.errors import EngineError, MissingExtraError
from efdn.sidecar import Sidecar
from engines.protocol import INPUT, OUTPUT, Engine
from engines.trt import open_built
from export.file_runs import from_graph, to_graph
from export.onnx_graph import IOFormat
from export.verification import Parity, compare, require, rounded, run_network, verification_input
from export.verified_graph import VerifiedGraph, tolerance_of

OpenEngine = Callable[[bytes, Sidecar, str], Engine]


def engine_parity(
    content: bytes, sidecar: Sidecar, graph: VerifiedGraph, open_engine: OpenEngine = open_built
) -> Parity | str:
    """Compares an engine's output on the photo with PyTorch's.

    Args:
        content: of the engine file.
        sidecar: what it is.
        graph: the graph it was built from.
        open_engine: opens it; a seam for tests.

    Returns:
        How they compare, or why the engine cannot run here.

    Raises:
        ParityError: it runs, and its output is not PyTorch's.
    """
    try:
        engine = open_engine(content, sidecar, sidecar.file)
    except (EngineError, MissingExtraError) as error:
        return str(error).split(": ")[0]
    data_range = sidecar.data_range
    x = verification_input(data_range, sidecar.shapes[0].opt)
    reference = run_network(graph.network, x, data_range)
    if graph.options.io is IOFormat.UINT8:
        reference = rounded(reference, data_range)
    with engine:
        output = engine.infer({INPUT: to_graph(x, graph.options.io, data_range)})[OUTPUT]
    parity = compare(reference, from_graph(output, graph.options.io, data_range), data_range)
    require("engine", parity, tolerance_of(graph.options), ": the builder changed the function; report it with --plan")
    return parity
