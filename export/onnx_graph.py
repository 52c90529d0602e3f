"""The ONNX graph of a network in deploy form, written directly from its weights.

A tracing exporter takes half a minute for this network and rediscovers what is
known here; writing takes a fraction of a second. `export.verification` holds the
result to PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

from efdn.errors import UsageError
from efdn.passes.head import WHITE
from efdn.upscaler import Upscaler
from efdn.version import __version__
from engines.protocol import INPUT, OUTPUT
from export.graph_writer import GraphWriter
from export.io_format import IOFormat
from export.parts_writer import Shape
from export.precision import Precision
from export.writers import writer_of


def write_onnx(
    network: Upscaler,
    *,
    precision: Precision,
    opset: int,
    shape: Shape | None = None,
    batched: bool = False,
    io: IOFormat = IOFormat.FLOAT32,
    keep_fp32: Sequence[str] = (),
    metadata: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """Writes the ONNX model of a network.

    Float input `input`: float32 (batch, 3, height, width), RGB, 0..data_range. Float
    output `output`: float32 (batch, 3, scale * height, scale * width), same range, not
    clamped. With uint8 both are pictures: (batch, height, width, 3), and casts,
    layout, rounding and clipping are part of the graph.

    Args:
        network: what to write.
        precision: type of weights and activations inside.
        opset: of the default operator set, 17 or later.
        shape: fixes the input to one picture of (height, width); all axes but channels are dynamic without.
        batched: whether a fixed input is to take any number of pictures all the same.
        io: types and layout of input and output.
        keep_fp32: patterns of parts to keep in FP32, such as `body.0/*`.
        metadata: goes into `metadata_props`.

    Raises:
        ExportError: a weight does not fit the precision.
        UsageError: a pattern that matches no part.
    """
    writer = GraphWriter(opset, precision, keep_fp32)
    picture = io is IOFormat.UINT8
    with writer.scope("head"):  # What is kept in FP32 there is so from the very input on.
        x = _picture_in(writer, network) if picture else _floats_in(writer)
    x = writer_of(writer, network, shape, batched=batched).write(x)
    if writer.unmatched:
        parts = ", ".join(dict.fromkeys(path.split("/")[0] for path in writer.scopes_seen))
        raise UsageError(f"no part of the graph matches {writer.unmatched[0]!r}: expected such as {parts}, or body.0/*")
    with writer.scope("tail"):
        if picture:
            _picture_out(writer, network, x, shape)
        else:
            _floats_out(writer, network, x)
    writer.nodes[-1].output[0] = OUTPUT
    inputs, outputs = _boundary(network, shape, io, batched=batched)
    architecture, scale = network.config.architecture, network.config.upscale
    return writer.model(
        [inputs],
        [outputs],
        name=f"{architecture.lower()}_x{scale}",
        doc=f"{architecture} super-resolution x{scale}, {precision.value}, RGB, {_range_text(network, io)}.",
        metadata=metadata or {},
        producer_version=__version__,
    )


def _range_text(network: Upscaler, io: IOFormat) -> str:
    return "uint8 pictures" if io is IOFormat.UINT8 else f"float32 of 0..{network.data_range:g}"


def _boundary(
    network: Upscaler, shape: Shape | None, io: IOFormat, *, batched: bool
) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]:
    """Descriptions of the graph's input and output."""
    height, width = shape if shape is not None else ("height", "width")
    batch = "batch" if batched or shape is None else 1
    scale = network.config.upscale
    upscaled = [scale * side if isinstance(side, int) else f"{side}_x{scale}" for side in (height, width)]
    if io is IOFormat.UINT8:
        kind, dims, upscaled_dims = TensorProto.UINT8, [batch, height, width, 3], [batch, *upscaled, 3]
    else:
        kind, dims, upscaled_dims = TensorProto.FLOAT, [batch, 3, height, width], [batch, 3, *upscaled]
    return helper.make_tensor_value_info(INPUT, kind, dims), helper.make_tensor_value_info(OUTPUT, kind, upscaled_dims)


def _floats_in(writer: GraphWriter) -> str:
    return writer.enter(INPUT) if writer.default_precision.half else INPUT


def _floats_out(writer: GraphWriter, network: Upscaler, x: str) -> None:
    x = writer.op("DepthToSpace", x, blocksize=network.config.upscale, mode="CRD")
    if writer.precision.half:
        writer.leave(x, TensorProto.FLOAT)


def _picture_in(writer: GraphWriter, network: Upscaler) -> str:
    """Bytes to floats, and channels to the front."""
    x = writer.op("Transpose", writer.enter(INPUT), perm=[0, 3, 1, 2])
    if network.data_range == WHITE:
        return x
    return writer.op("Mul", x, writer.scalar(network.data_range / WHITE))


def _picture_out(writer: GraphWriter, network: Upscaler, x: str, shape: Shape | None) -> None:
    """Sub-pixels to a picture: clipped and rounded, for a cast alone would wrap around and truncate."""
    if network.data_range != WHITE:
        x = writer.op("Mul", x, writer.scalar(WHITE / network.data_range))
    x = writer.op("Round", writer.op("Clip", x, writer.scalar(0.0), writer.scalar(WHITE)))
    scale = network.config.upscale
    if shape is None:
        x = writer.op("DepthToSpace", x, blocksize=scale, mode="CRD")
        x = writer.op("Transpose", x, perm=[0, 2, 3, 1])
    else:
        # As one transpose TensorRT makes one kernel of all this, with DepthToSpace two.
        height, width = shape
        x = writer.op("Reshape", x, writer.integers([-1, 3, scale, scale, height, width]))
        x = writer.op("Transpose", x, perm=[0, 4, 2, 5, 3, 1])
        x = writer.op("Reshape", x, writer.integers([-1, scale * height, scale * width, 3]))
    writer.leave(x, TensorProto.UINT8)
