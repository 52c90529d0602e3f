"""The stages from the trained network to the exported graph, each of which can be run on any picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from efdn.deployment import as_trained, deploy_stages
from efdn.passes.pipeline import PICTURES_ONLY
from efdn.upscaler import Upscaler
from export.file_runs import run_onnxruntime, run_own_arithmetic
from export.interpreter import Ranges
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.precision import Precision
from export.verification import EXACT, PICTURES, PROBES, Output, Tolerance, run_network
from export.verified_graph import serialized_graph

FOLD = "fold"
"""Name of the first stage, which every architecture has."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Attributes:
        name: of a pass, or of a form of the file.
        run: maps (1, 3, H, W) in the network's range to its output; the ranges see the
            tensors of a file run in its own arithmetic.
        before: what it may differ by from the stage before it.
        reference: what it may differ by from the trained network in FP32.
        pictures: whether it gives 8-bit values.
    """

    name: str
    run: Callable[[Output, Ranges], Output]
    before: Tolerance
    reference: Tolerance
    pictures: bool = False


def stages_of(network: Upscaler, options: OnnxOptions, shape: tuple[int, int]) -> Iterator[Stage]:
    """All stages for pictures of that (height, width), in order."""
    data_range = network.config.data_range
    single = PROBES[Precision.FP32]
    for index, (name, deployed) in enumerate(deploy_stages(network, options.passes)):
        # Bound now: the generator goes on to the next before the caller is done.
        def run_pass(x: Output, ranges: Ranges, deployed: Upscaler = deployed) -> Output:
            return run_network(deployed, x.astype(np.float64), data_range)

        yield Stage(name=name if index else FOLD, run=run_pass, before=EXACT, reference=single)
    trained = as_trained(deployed, network)
    yield from _file_stages(trained, replace(options, shape=shape), data_range)


def _file_stages(deployed: Upscaler, options: OnnxOptions, data_range: float) -> Iterator[Stage]:
    """The graph in FP32, in its precision, and with its own input and output, as far as these differ."""
    floats = replace(
        options, precision=Precision.FP32, io=IOFormat.FLOAT32, keep_fp32=(), passes=passes_for_floats(options)
    )
    single = PROBES[Precision.FP32]
    yield _file_stage("onnx fp32", deployed, floats, data_range, single, own_arithmetic=False)
    forms = []
    if options.precision.half:
        form = replace(floats, precision=options.precision, keep_fp32=options.keep_fp32)
        forms.append((f"onnx {options.precision.value}", form))
    if options.io is IOFormat.UINT8:
        forms.append((f"onnx {options.precision.value}, uint8", options))
    for name, form in forms:
        tolerance = (PICTURES if form.io is IOFormat.UINT8 else PROBES)[form.precision]
        yield _file_stage(name, deployed, form, data_range, tolerance, own_arithmetic=form.precision.half)


def _file_stage(
    name: str,
    deployed: Upscaler,
    options: OnnxOptions,
    data_range: float,
    tolerance: Tolerance,
    *,
    own_arithmetic: bool,
) -> Stage:
    content = serialized_graph(deployed, options, {"scale": str(deployed.config.upscale), "data_range": "255"})
    # The graph's floats are in the range of the deploy form, which fold_scale may have changed.
    graph_range = deployed.data_range

    def run(x: Output, ranges: Ranges) -> Output:
        scaled = x * (graph_range / data_range)
        if own_arithmetic:
            y = run_own_arithmetic(content, scaled, options.io, graph_range, ranges)
        else:
            y = run_onnxruntime(content, scaled, options.io, graph_range)
        result: Output = y * (data_range / graph_range)
        return result

    return Stage(
        name=name,
        run=run,
        before=tolerance,
        reference=tolerance,
        pictures=options.io is IOFormat.UINT8,
    )


def passes_for_floats(options: OnnxOptions) -> tuple[str, ...]:
    """The passes without the one that a float graph may not be asked for; the network has it already."""
    return tuple(name for name in options.passes if name != PICTURES_ONLY)
