"""Every stage from the trained network to the exported graph, compared on photos and on inputs that hurt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from efdn.copying import copied
from efdn.deployment import as_trained, deploy_stages
from efdn.errors import ParityError
from efdn.upscaler import Upscaler
from engines.whole import to_network
from export.file_runs import run_own_arithmetic
from export.interpreter import Divergence, Ranges, Reference, TensorRange
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.precision import Precision
from export.probes import probe_pictures
from export.stages import Stage, passes_for_floats, stages_of
from export.verification import (
    Output,
    Parity,
    compare,
    one_thread,
    rounded,
    run_network,
)
from export.verified_graph import Notify, serialized_graph, silent
from export.writers import WRITERS

Pixels = NDArray[np.uint8]
TIGHTEST = 10


@dataclass(frozen=True, kw_only=True)
class StageCheck:
    """One stage on one picture.

    Attributes:
        stage: name of a pass, or of a form of the file.
        picture: name of the input.
        before: against the stage before it.
        reference: against the trained network in PyTorch, FP32.
        broken: tolerances that do not hold, in words; none where the stage is right.
        overflow: the first tensor with a value that is not finite, if any.
    """

    stage: str
    picture: str
    before: Parity
    reference: Parity
    broken: tuple[str, ...]
    overflow: str | None = None


@dataclass(frozen=True, kw_only=True)
class PictureResult:
    """What came of one picture, 8 bits.

    Attributes:
        name: of the input.
        source: (H, W, 3).
        reference: (scale H, scale W, 3), by the trained network.
        result: the same by the last stage.
    """

    name: str
    source: Pixels
    reference: Pixels
    result: Pixels


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was compared, and what came of it.

    Attributes:
        options: how the graph was written.
        data_range: of the network.
        checks: in order of pictures, then of stages.
        pictures: inputs and results.
        tightest: the tensors nearest to the limit of their type, over all pictures.
        divergence: per block and end of the network, the error of the half-precision
            graph relative to FP32 (rms), on the first picture; empty in FP32.
        not_run: (stage, reason) of what could not be run here.
    """

    options: OnnxOptions
    data_range: float
    checks: tuple[StageCheck, ...]
    pictures: tuple[PictureResult, ...]
    tightest: tuple[TensorRange, ...]
    divergence: tuple[tuple[str, float], ...]
    not_run: tuple[tuple[str, str], ...]

    @property
    def first_failure(self) -> StageCheck | None:
        """The earliest stage that fails, on whichever picture."""
        stages = list(dict.fromkeys(check.stage for check in self.checks))
        failures = [check for check in self.checks if check.broken]
        return min(failures, key=lambda check: stages.index(check.stage), default=None)

    def require(self) -> None:
        """Raises ParityError, naming the first stage that fails and what overflows there, unless all hold."""
        failed = self.first_failure
        if failed is not None:
            overflow = f"; the first tensor that overflows is {failed.overflow}" if failed.overflow else ""
            raise ParityError(
                f"stage '{failed.stage}' is the first to fail, on '{failed.picture}': "
                f"{', '.join(failed.broken)}{overflow}"
            )


def verification_report(network: Upscaler, options: OnnxOptions, notify: Notify = silent) -> Report:
    """Runs every stage on every probe, which takes some 20 seconds; a stage that fails is in the report, not raised.

    Args:
        network: in training form.
        options: how the graph is written; its shape is replaced by those of the probes.
        notify: told what is being done.

    Raises:
        ConfigError: a shape that the network does not take.
        UsageError: passes that its architecture does not have.
    """
    options = options.fitted(network.config)
    with one_thread():
        return _report(network, options, notify)


def _report(network: Upscaler, options: OnnxOptions, notify: Notify) -> Report:
    data_range = network.config.data_range
    checks: list[StageCheck] = []
    results: list[PictureResult] = []
    ranges: list[TensorRange] = []
    stages: dict[tuple[int, int], list[Stage]] = {}
    for name, pixels in probe_pictures(network.config.smallest_side).items():
        notify(f"verifying on {name}")
        size = (pixels.shape[0], pixels.shape[1])
        if size not in stages:
            stages[size] = list(stages_of(network, options, size))
        found, result, seen = _verify_on(network, stages[size], name, pixels)
        checks += found
        results.append(result)
        ranges += seen
    first = to_network(results[0].source, data_range)
    return Report(
        options=options,
        data_range=data_range,
        checks=tuple(checks),
        pictures=tuple(results),
        tightest=_tightest(ranges),
        divergence=_divergence(network, options, first) if options.precision.half else (),
        not_run=_not_run(options),
    )


def _verify_on(
    network: Upscaler, stages: list[Stage], name: str, pixels: Pixels
) -> tuple[list[StageCheck], PictureResult, list[TensorRange]]:
    """All stages on one picture."""
    data_range = network.config.data_range
    x = to_network(pixels, data_range)
    reference = run_network(network, x, data_range)
    before = run_network(copied(network).double().eval(), x.astype(np.float64), data_range)
    checks: list[StageCheck] = []
    ranges: list[TensorRange] = []
    for stage in stages:
        seen = Ranges()
        output = stage.run(x, seen)
        checks.append(_check(stage, name, (before, reference, output), data_range, seen.first_non_finite))
        ranges += seen.tensors.values()
        before = output
    result = PictureResult(
        name=name, source=pixels, reference=_pixels(reference, data_range), result=_pixels(before, data_range)
    )
    return checks, result, ranges


def _check(
    stage: Stage, picture: str, outputs: tuple[Output, Output, Output], data_range: float, overflow: str | None
) -> StageCheck:
    before, reference, output = outputs
    if stage.pictures:
        before, reference = rounded(before, data_range), rounded(reference, data_range)
    against_before, against_reference = compare(before, output, data_range), compare(reference, output, data_range)
    broken = [*stage.before.broken_by(against_before), *stage.reference.broken_by(against_reference)]
    if overflow is not None:
        broken.append("values are not finite on the way")
    return StageCheck(
        stage=stage.name,
        picture=picture,
        before=against_before,
        reference=against_reference,
        broken=tuple(dict.fromkeys(broken)),
        overflow=overflow,
    )


SUMS = "fusion/Add"
"""How sums of the blocks so far begin; the last is what the fusion puts out, where it is added up."""


def _divergence(network: Upscaler, options: OnnxOptions, x: Output) -> tuple[tuple[str, float], ...]:
    """Relative error of what each block and each end of the network puts out."""
    *_, (_, last) = deploy_stages(network, options.passes)
    deployed = as_trained(last, network)
    form = replace(options, io=IOFormat.FLOAT32, passes=passes_for_floats(options), shape=(x.shape[2], x.shape[3]))
    exact = replace(form, precision=Precision.FP32, keep_fp32=())
    scaled = (x * (deployed.data_range / network.config.data_range)).astype(np.float32)
    output = WRITERS[network.config.architecture].block_output
    kept = Reference(lambda name: _is_boundary(name, output))
    run_own_arithmetic(serialized_graph(deployed, exact), scaled, form.io, deployed.data_range, kept)
    errors = Divergence(kept.tensors)
    run_own_arithmetic(serialized_graph(deployed, form), scaled, form.io, deployed.data_range, errors)
    sums = [name for name in errors.errors if name.startswith(SUMS)]
    return tuple(item for item in errors.errors.items() if item[0] not in sums[:-1])


def _is_boundary(name: str, block_output: str) -> bool:
    """Whether a tensor is what a block, which ends with that operator, or a convolution outside the blocks puts out."""
    scope, _, node = name.rpartition("/")
    return (
        (scope.startswith("body.") and "/" not in scope and node == block_output)
        or (scope in ("head", "fusion", "tail") and node == "Conv")
        or name.startswith(SUMS)
    )


MOVES_ONLY = ("Cast", "Transpose", "Reshape", "DepthToSpace", "Slice", "Concat")
"""Operators whose values are those of the tensor they read."""


def _tightest(ranges: list[TensorRange]) -> tuple[TensorRange, ...]:
    largest: dict[str, TensorRange] = {}
    for entry in ranges:
        known = largest.get(entry.name)
        if entry.op_type not in MOVES_ONLY and (known is None or _nearness(entry) > _nearness(known)):
            largest[entry.name] = entry
    return tuple(sorted(largest.values(), key=_nearness, reverse=True)[:TIGHTEST])


def _nearness(entry: TensorRange) -> float:
    """Share of the type's range; what is not a number is nearest of all."""
    return math.inf if math.isnan(entry.share) else entry.share


def _not_run(options: OnnxOptions) -> tuple[tuple[str, str], ...]:
    if options.precision is Precision.BF16:
        return (("ONNX Runtime", "it has no bfloat16 kernels on the CPU; the graph ran in its own arithmetic"),)
    return ()


def _pixels(output: Output, data_range: float) -> Pixels:
    finite = np.nan_to_num(rounded(output, data_range) * (255 / data_range), nan=0.0)
    return np.ascontiguousarray(np.clip(np.rint(finite[0]), 0, 255).astype(np.uint8).transpose(1, 2, 0))
