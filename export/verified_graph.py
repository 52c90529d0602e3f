"""From a network to an ONNX graph that has been held to PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from efdn.config import MIN_SIDE
from efdn.deploy import DeployEFDN
from efdn.errors import ConfigError, ExportError
from efdn.files import sha256_of_file
from efdn.network import EFDN
from efdn.passes.pipeline import deploy_network
from efdn.version import __version__
from engines.ort import CPU, OnnxRuntimeEngine
from engines.protocol import INPUT, OUTPUT
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.verification import (
    HALF_ARITHMETIC_SIDE,
    Parity,
    compare,
    require,
    run_network,
    verification_input,
)

LARGEST_VERIFIED = 512 * 512
"""In pixels. Larger static graphs are checked on their dynamic twin: PyTorch would take minutes and gigabytes."""

LONGEST_SIDE = 8192

OPSETS = range(17, 24)
"""Operator sets that can be written, and that ONNX Runtime runs."""

DEFAULT_OPSET = 20

Notify = Callable[[str], None]


def silent(message: str) -> None:
    """Says nothing: the default where a caller may want to hear what is being done."""


@dataclass(frozen=True, kw_only=True)
class OnnxOptions:
    """How a graph is written.

    Attributes:
        precision: of weights and activations.
        opset: 17 to 23.
        shape: fixes height and width; both are dynamic without.
    """

    precision: Precision = Precision.FP32
    opset: int = DEFAULT_OPSET
    shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise ConfigError(f"opset must be {OPSETS[0]} to {OPSETS[-1]}, got {self.opset}")
        if self.shape is not None and min(self.shape) < MIN_SIDE:
            height, width = self.shape
            raise ConfigError(f"shape must be at least {MIN_SIDE}x{MIN_SIDE}, got {height}x{width}")
        if self.shape is not None and max(self.shape) > LONGEST_SIDE:
            raise ConfigError(f"shape must be at most {LONGEST_SIDE} a side, got {self.shape[0]}x{self.shape[1]}")


@dataclass(frozen=True, kw_only=True)
class VerifiedGraph:
    """An ONNX graph that has passed its checks.

    Attributes:
        content: the ONNX file.
        options: how it was written.
        network: the network it was written from, in training form.
        weights: file the network came from.
        parity: checks by name.
    """

    content: bytes
    options: OnnxOptions
    network: EFDN
    weights: Path
    parity: dict[str, Parity]


def verified_graph(
    network: EFDN,
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
        ExportError: the graph could not be written, or ONNX's own checker refuses it.
    """
    notify("folding")
    folded = deploy_network(network)
    notify("writing the graph")
    metadata = graph_metadata(network, weights, options)
    content = _write(folded, options, metadata)
    if written_to is not None:
        written_to.write_bytes(content)
        content = written_to.read_bytes()
    runnable, run_options = content, options
    if options.shape is not None and options.shape[0] * options.shape[1] > LARGEST_VERIFIED:
        notify("too large to run whole: taking the same nodes with dynamic shapes")
        run_options = replace(options, shape=None)
        runnable = _write(folded, run_options, metadata)
    notify("comparing with PyTorch")
    parity = _check_parity(network, folded, runnable, run_options)
    return VerifiedGraph(content=content, options=options, network=network, weights=weights, parity=parity)


def graph_metadata(network: EFDN, weights: Path, options: OnnxOptions) -> dict[str, str]:
    """What the graph says of itself, in its `metadata_props`."""
    config = network.config
    return {
        "architecture": "EFDN",
        "scale": str(config.upscale),
        "data_range": f"{config.data_range:.15g}",
        "color": "RGB",
        "layout": "NCHW",
        "precision": options.precision.value,
        "shape": "dynamic" if options.shape is None else "{}x{}".format(*options.shape),
        "smallest_side": str(MIN_SIDE),
        "planes": str(config.planes),
        "blocks": str(config.num_modules),
        "weights": weights.name,
        "weights_sha256": sha256_of_file(weights),
        "producer": f"efdn {__version__}",
    }


def _write(folded: DeployEFDN, options: OnnxOptions, metadata: dict[str, str]) -> bytes:
    """The ONNX file, once ONNX's checker has passed it with strict shape inference."""
    model = write_onnx(folded, precision=options.precision, opset=options.opset, shape=options.shape, metadata=metadata)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph written is not valid ONNX: {str(error).splitlines()[0]}") from error
    return bytes(model.SerializeToString())


def _check_parity(network: EFDN, folded: DeployEFDN, content: bytes, options: OnnxOptions) -> dict[str, Parity]:
    """Runs the file, and for FP16 true half arithmetic too: ONNX Runtime computes most of it in FP32 on the CPU."""
    data_range = network.config.data_range
    x = verification_input(data_range, options.shape)
    reference = run_network(network, x)
    checks = {"fold": compare(reference, run_network(folded, x), data_range)}
    require("fold", checks["fold"], Precision.FP32)
    with OnnxRuntimeEngine("onnxruntime-cpu", content, "the exported file", (CPU,)) as engine:
        output = engine.infer({INPUT: x})[OUTPUT]
    checks["onnxruntime"] = compare(reference, output, data_range)
    require("onnxruntime", checks["onnxruntime"], options.precision)
    if options.precision is Precision.FP16:
        patch = verification_input(data_range, (HALF_ARITHMETIC_SIDE, HALF_ARITHMETIC_SIDE))
        half = run_network(copy.deepcopy(folded).half(), patch)
        checks["half_arithmetic"] = compare(run_network(network, patch), half, data_range)
        require("half_arithmetic", checks["half_arithmetic"], options.precision)
    return checks
