"""The ONNX graph of a deploy network, written directly from its weights.

A tracing exporter takes half a minute for this network and rediscovers what is
known here; writing takes a fraction of a second. `export.verification` holds the
result to PyTorch.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

from efdn.deploy import DeployBlock, DeployEFDN, FoldedMixer
from efdn.layers import BSConv, SpatialAttention
from efdn.mixing import (
    SHIFTS,
    contiguous_groups,
    grouping_permutation,
    inverse_permutation,
)
from efdn.version import __version__
from engines.protocol import INPUT, OUTPUT
from export.graph_writer import END, GraphWriter
from export.precision import Precision

Shape = tuple[int, int]
"""Height and width, in pixels."""


def write_onnx(
    network: DeployEFDN,
    *,
    precision: Precision,
    opset: int,
    shape: Shape | None = None,
    metadata: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """Writes the ONNX model of a network.

    Input `input`: float32 (batch, 3, height, width), RGB, 0..data_range. Output
    `output`: float32 (batch, 3, scale * height, scale * width), same range, not
    clamped. Both stay float32 in half precision, where casts stand at the ends.

    Args:
        network: what to write.
        precision: type of weights and activations inside.
        opset: of the default operator set, 17 or later.
        shape: fixes the input to (1, 3, height, width); all axes but channels are dynamic without.
        metadata: goes into `metadata_props`.

    Raises:
        ExportError: a weight does not fit the precision.
    """
    writer = GraphWriter(opset, precision)
    x = INPUT
    if precision is Precision.FP16:
        x = writer.cast(x, TensorProto.FLOAT16)
    x = _NetworkWriter(writer, network).write(x)
    writer.nodes.append(_last_node(writer, x, precision))
    height, width = shape if shape is not None else ("height", "width")
    batch = 1 if shape is not None else "batch"
    scale = network.config.upscale
    upscaled = [scale * side if isinstance(side, int) else f"{side}_x{scale}" for side in (height, width)]
    return writer.model(
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, 3, height, width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, 3, *upscaled])],
        name=f"efdn_x{scale}",
        doc=f"EFDN super-resolution x{scale}, {precision.value}, RGB 0..{network.config.data_range:g}.",
        metadata=metadata or {},
        producer_version=__version__,
    )


def _last_node(writer: GraphWriter, x: str, precision: Precision) -> onnx.NodeProto:
    """The node that yields the graph's output under its own name."""
    if precision is Precision.FP16:
        return helper.make_node("Cast", [x], [OUTPUT], name="Cast_out", to=TensorProto.FLOAT)
    node = writer.nodes.pop()
    node.output[0] = OUTPUT
    return node


def array(values: Tensor | None) -> NDArray[np.floating]:
    """A weight as float64, so that rounding happens once, in the writer."""
    assert values is not None
    return cast("NDArray[np.floating]", values.detach().double().cpu().numpy())


class _NetworkWriter:
    """Writes one network; `_sizes` is shared by the resizes of all blocks."""

    def __init__(self, writer: GraphWriter, network: DeployEFDN) -> None:
        self.writer = writer
        self.network = network
        self._sizes = ""

    def write(self, x: str) -> str:
        writer, network = self.writer, self.network
        self._sizes = self._attention_sizes(x)
        if network.head_repeats > 1:
            x = writer.op("Concat", *[x] * network.head_repeats, axis=1)
        head = self._conv(x, "head", network.head)
        features, outputs = head, []
        for index, block in enumerate(network.body):
            with writer.scope(f"body.{index}"):
                features = self._block(features, cast(DeployBlock, block))
            outputs.append(features)
        x = self._conv(writer.op("Concat", *outputs, axis=1), "fusion", network.fusion)
        x = self._conv(writer.gelu(x), "refine", network.refine)
        x = self._conv(writer.op("Add", x, head), "tail", network.tail)
        return writer.op("DepthToSpace", x, blocksize=network.config.upscale, mode="CRD")

    def _attention_sizes(self, x: str) -> str:
        """(N, attention planes, H, W) as a tensor: what every attention resizes to."""
        writer = self.writer
        shape = writer.op("Shape", x)
        batch = writer.op("Slice", shape, writer.integers([0]), writer.integers([1]))
        sides = writer.op("Slice", shape, writer.integers([2]), writer.integers([4]))
        planes = writer.integers([self.network.config.attention_planes])
        return writer.op("Concat", batch, planes, sides, axis=0)

    def _block(self, x: str, block: DeployBlock) -> str:
        writer = self.writer
        stages = [x]
        for index, mixer in enumerate(block.mixers):
            with writer.scope(f"mixer.{index}"):
                stages.append(writer.gelu(self._mixer(stages[-1], cast(FoldedMixer, mixer))))
        branches = [
            self._conv(stage, f"branch.{index}", cast(nn.Conv2d, branch))
            for index, (branch, stage) in enumerate(zip(block.branches, stages, strict=True))
        ]
        out = self._conv(writer.gelu(writer.op("Concat", *branches, axis=1)), "fusion", block.fusion)
        with writer.scope("attention"):
            gated = writer.op("Mul", out, self._attention(out, block.attention))
        if block.gain is not None:
            gated = writer.op("Mul", gated, self._per_channel("gain", block.gain))
        carried = x if block.scale is None else writer.op("Mul", x, self._per_channel("scale", block.scale))
        result = writer.op("Add", gated, carried)
        return result if block.offset is None else writer.op("Add", result, self._per_channel("offset", block.offset))

    def _mixer(self, x: str, mixer: FoldedMixer) -> str:
        """Either form of `efdn.deploy.FoldedMixer`."""
        writer = self.writer
        mixed = self._mix(x, mixer.slope.numel(), grouped=mixer.grouped)
        slope = self._per_channel("slope", mixer.slope)
        if mixer.expanded:
            kept = writer.op("Mul", x, self._per_channel("keep", mixer.total.double() - mixer.slope.double()))
            moved = writer.op("Mul", mixed, slope)
        else:
            plain = bool((mixer.total == 1).all())
            kept = x if plain else writer.op("Mul", x, self._per_channel("total", mixer.total))
            moved = writer.op("Mul", writer.op("Sub", mixed, x), slope)
        return writer.op("Add", writer.op("Add", kept, moved), self._per_channel("offset", mixer.offset))

    def _mix(self, x: str, channels: int, *, grouped: bool) -> str:
        """`efdn.mixing.mix_grouped`, or `mix_pixels` where the groups are still interleaved."""
        writer = self.writer
        if not grouped:
            x = writer.op("Gather", x, writer.integers(grouping_permutation(channels)), axis=1)
        groups = contiguous_groups(channels)
        shifted = [self._shift(x, group, *step) for group, step in zip(groups, SHIFTS, strict=True)]
        mixed = writer.op("Concat", *shifted, axis=1)
        if grouped:
            return mixed
        back = inverse_permutation(grouping_permutation(channels))
        return writer.op("Gather", mixed, writer.integers(back), axis=1)

    def _shift(self, x: str, group: slice, dy: int, dx: int) -> str:
        """The channels of one group, moved around the border: two slices and a concatenation."""
        writer, channels = self.writer, (group.start, group.stop)
        if dy == dx == 0:
            return writer.slice(x, channels=channels)
        axis, step = ("height", dy) if dy else ("width", dx)
        cut = 1 if step > 0 else -1
        rest = writer.slice(x, channels=channels, **{axis: (cut, END)})
        first = writer.slice(x, channels=channels, **{axis: (0, cut)})
        return writer.op("Concat", rest, first, axis=2 if dy else 3)

    def _attention(self, x: str, attention: SpatialAttention) -> str:
        writer = self.writer
        head = self._conv(x, "head", attention.head_conv)
        strided = self._conv(head, "stride", attention.stride_conv)
        coarse = writer.op("MaxPool", strided, kernel_shape=[7, 7], strides=[3, 3])
        for index, layer in enumerate(attention.group_conv):
            if isinstance(layer, nn.ReLU):
                coarse = writer.op("Relu", coarse)
            else:
                coarse = self._conv(coarse, f"group.{index}", layer)
        resized = writer.op("Resize", coarse, "", "", self._sizes, mode="linear")
        skip = self._conv(head, "skip", attention.useless_conv)
        gate = self._conv(writer.op("Add", resized, skip), "tail", attention.tail_conv)
        return writer.op("Sigmoid", gate)

    def _conv(self, x: str, name: str, conv: nn.Module) -> str:
        if isinstance(conv, BSConv):
            with self.writer.scope(name):
                return self._conv(self._conv(x, "pw", conv.pw), "dw", conv.dw)
        plain = cast(nn.Conv2d, conv)
        bias = None if plain.bias is None else array(plain.bias)
        return self.writer.conv(x, name, array(plain.weight), bias, stride=plain.stride[0], groups=plain.groups)

    def _per_channel(self, name: str, values: Tensor) -> str:
        return self.writer.weights(name, array(values).reshape(1, -1, 1, 1))
