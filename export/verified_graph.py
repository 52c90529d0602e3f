"""From a network to an ONNX graph that has been held to PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from efdn.errors import ExportError, ParityError
from efdn.files import sha256_of_file
from efdn.upscaler import Upscaler
from efdn.version import __version__
from export.checked_passes import checked_deploy
from export.file_runs import run_onnxruntime, run_own_arithmetic
from export.interpreter import Ranges
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.options import OnnxOptions
from export.precision import Precision
from export.verification import (
    FLOATS,
    HALF_ARITHMETIC_SIDE,
    PICTURES,
    Output,
    Parity,
    Tolerance,
    compare,
    one_thread,
    require,
    rounded,
    run_network,
    verification_input,
)

LARGEST_VERIFIED = 512 * 512
"""In pixels. Larger static graphs are checked on their dynamic twin: PyTorch would take minutes and gigabytes."""

Notify = Callable[[str], None]


def silent(message: str) -> None:
    """Says nothing: the default where a caller may want to hear what is being done."""


@dataclass(frozen=True, kw_only=True)
class VerifiedGraph:
    """An ONNX graph that has passed its checks.

    Attributes:
        content: the ONNX file.
        options: how it was written.
        network: the network it was written from, in training form.
        weights: file the network came from.
        deployed: the network after its passes.
        parity: checks by name.
    """

    content: bytes
    options: OnnxOptions
    network: Upscaler
    weights: Path
    deployed: Upscaler
    parity: dict[str, Parity]


def verified_graph(
    network: Upscaler,
    weights: Path,
    options: OnnxOptions,
    notify: Notify = silent,
    *,
    written_to: Path | None = None,
) -> VerifiedGraph:
    """Folds a network, writes its graph and holds it to PyTorch.

    Args:
        network: in training form.
        weights: file it came from.
        options: how the graph is written.
        notify: told what is being done.
        written_to: where the file is put, and read back from for the check.

    Raises:
        ParityError: a check failed.
        ConfigError: a shape that the network does not take.
        UsageError: passes that its architecture does not have.
        ExportError: the graph could not be written, or ONNX's own checker refuses it.
    """
    options = options.fitted(network.config)
    notify("folding")
    folded = checked_deploy(network, options.passes)
    notify("writing the graph")
    metadata = graph_metadata(network, weights, options)
    content = serialized_graph(folded, options, metadata)
    if written_to is not None:
        written_to.write_bytes(content)
        content = written_to.read_bytes()
    runnable, run_options = content, options
    if options.shape is not None and options.shape[0] * options.shape[1] > LARGEST_VERIFIED:
        notify("too large to run whole: taking the same nodes with dynamic shapes")
        run_options = replace(options, shape=None)
        runnable = serialized_graph(folded, run_options, metadata)
    notify("comparing with PyTorch")
    parity = _check_parity(network, folded, runnable, run_options)
    return VerifiedGraph(
        content=content, options=options, network=network, weights=weights, deployed=folded, parity=parity
    )


def graph_metadata(network: Upscaler, weights: Path, options: OnnxOptions) -> dict[str, str]:
    """What the graph says of itself, in its `metadata_props`."""
    config = network.config
    return {
        "architecture": config.architecture,
        "scale": str(config.upscale),
        "data_range": f"{config.data_range:.15g}",
        "color": "RGB",
        "layout": "NHWC" if options.io is IOFormat.UINT8 else "NCHW",
        "io": options.io.value,
        "precision": options.precision.value,
        "keep_fp32": ",".join(options.keep_fp32),
        "passes": ",".join(options.passes),
        "shape": "dynamic" if options.shape is None else "{}x{}".format(*options.shape),
        "smallest_side": str(config.smallest_side),
        "planes": str(config.sizes["planes"]),
        "blocks": str(config.sizes["blocks"]),
        "weights": weights.name,
        "weights_sha256": sha256_of_file(weights),
        "producer": f"efdn {__version__}",
    }


def serialized_graph(network: Upscaler, options: OnnxOptions, metadata: dict[str, str] | None = None) -> bytes:
    """The ONNX file, once ONNX's checker has passed it with strict shape inference."""
    model = write_onnx(
        network,
        precision=options.precision,
        opset=options.opset,
        shape=options.shape,
        batched=options.batched,
        io=options.io,
        keep_fp32=options.keep_fp32,
        metadata=metadata,
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph written is not valid ONNX: {str(error).splitlines()[0]}") from error
    return bytes(model.SerializeToString())


def tolerance_of(options: OnnxOptions) -> Tolerance:
    """What a file may differ by from PyTorch in FP32."""
    return (PICTURES if options.io is IOFormat.UINT8 else FLOATS)[options.precision]


def _check_parity(network: Upscaler, folded: Upscaler, content: bytes, options: OnnxOptions) -> dict[str, Parity]:
    """Runs the file on the photo, and where it is in half precision a patch in true half arithmetic."""
    data_range = network.config.data_range
    x = verification_input(data_range, options.shape)
    reference = run_network(network, x, data_range)
    checks = {"deploy form": compare(reference, run_network(folded, x, data_range), data_range)}
    require("deploy form", checks["deploy form"], FLOATS[Precision.FP32])
    if options.io is IOFormat.UINT8:
        reference = rounded(reference, data_range)
    if options.precision is not Precision.BF16:  # ONNX Runtime has no kernels for it on the CPU.
        output = run_onnxruntime(content, x, options.io, data_range)
        checks["onnxruntime"] = compare(reference, output, data_range)
        require("onnxruntime", checks["onnxruntime"], tolerance_of(options), _remedy(options))
        if options.batched:
            checks["batch of two"] = _batch(content, x, output, options, data_range)
            require("batch of two", checks["batch of two"], tolerance_of(options))
    if options.precision.half:
        checks["half arithmetic"] = _half_arithmetic(network, folded, content, options)
    return checks


def _batch(content: bytes, x: Output, output: Output, options: OnnxOptions, data_range: float) -> Parity:
    """Two pictures at once against each alone; the second is the first upside down."""
    flipped = np.ascontiguousarray(x[:, :, ::-1])
    single = np.concatenate([output, run_onnxruntime(content, flipped, options.io, data_range)])
    both = run_onnxruntime(content, np.concatenate([x, flipped]), options.io, data_range)
    return compare(single, both, data_range)


def _half_arithmetic(network: Upscaler, folded: Upscaler, content: bytes, options: OnnxOptions) -> Parity:
    """The file on a small crop, every node rounding: ONNX Runtime computes most of them in FP32 on the CPU.

    A file of a static shape would take long; its nodes are written anew for the size of the crop.
    """
    data_range, side = network.config.data_range, (HALF_ARITHMETIC_SIDE, HALF_ARITHMETIC_SIDE)
    patch, ranges = verification_input(data_range, side), Ranges()
    if options.shape is not None:
        content = serialized_graph(folded, replace(options, shape=side))
    reference = run_network(network, patch, data_range)
    if options.io is IOFormat.UINT8:
        reference = rounded(reference, data_range)
    with one_thread():
        output = run_own_arithmetic(content, patch, options.io, data_range, ranges)
    parity = compare(reference, output, data_range)
    overflow = f"; the first tensor that overflows is {ranges.first_non_finite}" if ranges.first_non_finite else ""
    broken = tolerance_of(options).broken_by(parity)
    if broken or overflow:
        reason = ", ".join(broken) or "values are not finite on the way"
        raise ParityError(f"check 'half arithmetic' failed: {reason}{overflow}{_remedy(options)}")
    return parity


def _remedy(options: OnnxOptions) -> str:
    return ": export with --fp32, or keep parts in FP32 with --keep-fp32" if options.precision.half else ""
