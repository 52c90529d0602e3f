"""Runs an engine that has just been built, where there is a GPU for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from efdn.errors import EngineError
from efdn.sidecar import Sidecar
from engines.cuda.open import open_device
from engines.protocol import INPUT, OUTPUT, Engine
from engines.trt.flavours import FLAVOURS
from engines.trt.open import open_built
from export.file_runs import from_graph, to_graph
from export.io_format import IOFormat
from export.verification import Parity, compare, require, rounded, run_network, verification_input
from export.verified_graph import LARGEST_VERIFIED, VerifiedGraph, tolerance_of

OpenEngine = Callable[[bytes, Sidecar, str], Engine]


def engine_parity(
    content: bytes, sidecar: Sidecar, graph: VerifiedGraph, open_engine: OpenEngine = open_built
) -> dict[str, Parity] | str:
    """Compares an engine's output on the photo with PyTorch's, for every shape that is not too large for PyTorch.

    Args:
        content: of the engine file.
        sidecar: what it is.
        graph: the graph it was built from.
        open_engine: opens it; a seam for tests.

    Returns:
        How they compare, by name, or why the engine cannot be compared here.

    Raises:
        EngineError: there is a GPU for the engine, and it does not run.
        ParityError: it runs, and its output is not PyTorch's.
    """
    sides = [shape.opt for shape in sidecar.shapes if shape.opt[0] * shape.opt[1] <= LARGEST_VERIFIED]
    if not sides:
        return "its shapes are too large to compare with PyTorch"
    with open_engine(content, sidecar, sidecar.file) as engine:
        return {
            "engine" if len(sidecar.shapes) == 1 else f"engine {side[0]}x{side[1]}": _parity_at(engine, side, graph)
            for side in sides
        }


def why_not_here(sidecar: Sidecar) -> str | None:
    """Why an engine cannot run on this machine, if it cannot."""
    assert sidecar.build is not None
    module, _ = FLAVOURS[sidecar.build.runtime]
    if find_spec(module) is None:
        return f"{module} is not installed"
    try:
        device = open_device()
    except EngineError as error:
        return str(error).split(": ")[0]
    architecture = device.architecture
    device.close()
    if architecture not in sidecar.build.gpu_targets:
        return f"it is for {', '.join(sidecar.build.gpu_targets)}, here is {architecture}"
    return None


def _parity_at(engine: Engine, side: tuple[int, int], graph: VerifiedGraph) -> Parity:
    data_range, io = graph.network.config.data_range, graph.options.io
    x = verification_input(data_range, side)
    reference = run_network(graph.network, x, data_range)
    if io is IOFormat.UINT8:
        reference = rounded(reference, data_range)
    output = engine.infer({INPUT: to_graph(x, io, data_range)})[OUTPUT]
    parity = compare(reference, from_graph(output, io, data_range), data_range)
    require("engine", parity, tolerance_of(graph.options), ": the builder changed the function; report it with --plan")
    return parity
