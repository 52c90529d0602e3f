"""The ONNX file that people get without this toolkit: PyTorch's own export of the network as published."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from efdn.errors import ExportError
from efdn.shapes import Side
from engines.protocol import INPUT, OUTPUT

if TYPE_CHECKING:
    import onnx

    from efdn.upscaler import Upscaler

TRACED: Side = (64, 72)
"""Shape of the trace. The sides differ, so that each can be told in the graph."""

ONE_PIXEL = [0, 0, 1, 1, 0, 0, 1, 1]
"""Pads around the border, as ONNX writes them: before each axis of NCHW, then behind each."""


def export_plain(network: Upscaler, target: Path) -> None:
    """Writes what `torch.onnx.export` makes of a network's published form, fixed to `TRACED`.

    Both of PyTorch's exporters fail on this network, or take four minutes, where heights and widths are left open.

    Raises:
        ImportError: onnxscript is not installed, without which PyTorch does not export.
        ExportError: PyTorch fails on this network, as some of its versions may.
    """
    import onnxscript  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401  Before PyTorch looks for it.
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # It tells of every package that it does without.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                network.published_form(),
                (torch.zeros(1, 3, *TRACED),),
                target,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # Whatever its passes raise.
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"PyTorch {torch.__version__} does not export this network: {reason}") from error


def describe(model: onnx.ModelProto, network: Upscaler) -> None:
    """Adds what engines must know of a graph, which other tools' files do not say."""
    config = network.config
    facts = {
        "scale": config.upscale,
        "data_range": f"{network.data_range:.15g}",
        "smallest_side": config.smallest_side,
    }
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=str(value))


def fixed_to(model: onnx.ModelProto, shape: Side, scale: int) -> onnx.ModelProto:
    """A copy of a graph traced at `TRACED` that takes another shape: it is in the ends, and in one constant.

    Args:
        model: as `export_plain` wrote it.
        shape: height and width.
        scale: of the network.
    """
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value, factor in ((copy.graph.input[0], 1), (copy.graph.output[0], scale)):
        for dim, side in zip(value.type.tensor_type.shape.dim[2:], shape, strict=True):
            dim.dim_value = factor * side
    # Without a fourth input, a resize goes by scales, which hold at every shape.
    sizes = {node.input[3] for node in copy.graph.node if node.op_type == "Resize" and len(node.input) > 3}
    for constant in copy.graph.initializer:
        if constant.name in sizes:
            resized = numpy_helper.to_array(constant).copy()
            resized[2:] = shape
            constant.CopyFrom(numpy_helper.from_array(resized, constant.name))
    return copy


def pads_as_slices(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph in which pads by one pixel around the border are slices and concatenations.

    Raises:
        ExportError: a circular pad by anything else.
    """
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    bounds = {"wrap_first": (0, 1), "wrap_last": (-1, np.iinfo(np.int64).max)}
    constants = {f"{name}_{end}": value for name, ends in bounds.items() for end, value in enumerate(ends)}
    constants |= {f"wrap_axis_{axis}": axis for axis in (2, 3)}
    for name, value in constants.items():
        copy.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    known = {constant.name: constant for constant in copy.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in copy.graph.node:
        if node.op_type != "Pad" or not _wraps(node):
            nodes.append(node)
            continue
        _check_pads(node, known)
        x = node.input[0]
        for axis in (2, 3):
            ends = {name: f"{node.name}_{name}_{axis}" for name in bounds}
            nodes += [
                helper.make_node("Slice", [x, f"{name}_0", f"{name}_1", f"wrap_axis_{axis}"], [end])
                for name, end in ends.items()
            ]
            joined = node.output[0] if axis == 3 else f"{node.name}_rows"
            nodes.append(helper.make_node("Concat", [ends["wrap_last"], x, ends["wrap_first"]], [joined], axis=axis))
            x = joined
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _check_pads(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> None:
    """Raises ExportError for a circular pad by anything but one pixel around the border."""
    from onnx import numpy_helper

    name = node.input[1]
    pads = numpy_helper.to_array(constants[name]).tolist() if name in constants else None
    if pads != ONE_PIXEL:
        raise ExportError(f"expected circular pads by one pixel around the border, got {pads} in {node.name}")


def _wraps(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "mode" and attribute.s == b"wrap" for attribute in node.attribute)
