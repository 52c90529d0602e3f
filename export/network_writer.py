"""The nodes of a deploy network: every `forward` of `efdn.deploy`, `efdn.gate` and `efdn.mixers`, written as ONNX."""

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor, nn

from efdn.deploy import DeployBlock, DeployEFDN
from efdn.gate import POOL_SIZE, POOL_STRIDE, Gate
from efdn.layers import BSConv
from export.graph_writer import GraphWriter
from export.mixing_writer import MixingWriter, array

Shape = tuple[int, int]
"""Height and width, in pixels."""


class NetworkWriter:
    """Writes one network.

    Args:
        writer: takes the nodes.
        network: what to write.
        shape: of the input, where it is static.
        batched: whether it takes any number of pictures all the same.
    """

    def __init__(self, writer: GraphWriter, network: DeployEFDN, shape: Shape | None, *, batched: bool = False) -> None:
        self.writer = writer
        self.network = network
        self._shape, self._batched = shape, batched
        self._mixing = MixingWriter(writer)
        self._sizes = ""

    def write(self, x: str) -> str:
        """From the name of (N, 3, H, W) to that of the sub-pixels, (N, 3 scale^2, H, W)."""
        writer, network = self.writer, self.network
        self._sizes = self._coarse_sizes(x)
        if network.head_repeats > 1:
            x = writer.op("Concat", *[x] * network.head_repeats, axis=1)
        head = self._conv(x, "head", network.head)
        features, outputs = head, []
        for index, block in enumerate(network.blocks):
            with writer.scope(f"body.{index}"):
                features = self._block(features, block)
            outputs.append(features)
        x = self._conv(writer.op("Concat", *outputs, axis=1), "fusion", network.fusion)
        x = self._conv(writer.gelu(x), "refine", network.refine)
        return self._conv(writer.op("Add", x, head), "tail", network.tail)

    def _coarse_sizes(self, x: str) -> str:
        """(N, channels, H, W) as a tensor: what the coarse map of every attention is resized to."""
        writer = self.writer
        last = self.network.blocks[0].gate.group[-1]
        channels = (last.dw if isinstance(last, BSConv) else cast(nn.Conv2d, last)).out_channels
        if self._shape is not None and not self._batched:
            return writer.integers([1, channels, *self._shape])
        shape = writer.shape(x)
        batch = writer.op("Slice", shape, writer.integers([0]), writer.integers([1]))
        if self._shape is not None:
            return writer.op("Concat", batch, writer.integers([channels, *self._shape]), axis=0)
        sides = writer.op("Slice", shape, writer.integers([2]), writer.integers([4]))
        return writer.op("Concat", batch, writer.integers([channels]), sides, axis=0)

    def _block(self, x: str, block: DeployBlock) -> str:
        writer = self.writer
        stages = self._mixing.write(x, block.mixing)
        if block.joined:
            stages = [writer.op("Concat", *stages, axis=1)]
        branches = [
            self._conv(stage, "branches" if block.joined else f"branch.{index}", branch)
            for index, (branch, stage) in enumerate(zip(block.branch_convs, stages, strict=True))
        ]
        joined = branches[0] if block.joined else writer.op("Concat", *branches, axis=1)
        activated = writer.gelu(joined)
        out = self._conv(activated, "fusion", block.fusion)
        with writer.scope("attention"):
            gate = self._gate(activated if block.gate_reads_branches else out, block.gate)
            gated = writer.op("Mul", out, gate)
        if block.gain is not None:
            gated = writer.op("Mul", gated, self._per_channel("gain", block.gain))
        carried = x if block.scale is None else writer.op("Mul", x, self._per_channel("scale", block.scale))
        result = writer.op("Add", gated, carried)
        return result if block.offset is None else writer.op("Add", result, self._per_channel("offset", block.offset))

    def _gate(self, x: str, gate: Gate) -> str:
        writer = self.writer
        head = self._conv(x, "head", gate.head)
        strided = self._conv(head, "stride", gate.stride)
        coarse = writer.op("MaxPool", strided, kernel_shape=[POOL_SIZE] * 2, strides=[POOL_STRIDE] * 2)
        for index, layer in enumerate(gate.group):
            if isinstance(layer, nn.ReLU):
                coarse = writer.op("Relu", coarse)
            else:
                coarse = self._conv(coarse, f"group.{index}", layer)
        coarse = writer.op("Resize", coarse, "", "", self._sizes, mode="linear")
        if gate.tail is None:
            return writer.op("Sigmoid", writer.op("Add", coarse, self._skip(head, gate)))
        if gate.skip is None:
            joined = writer.op("Concat", coarse, head, axis=1)
        else:
            joined = writer.op("Add", coarse, self._skip(head, gate))
        return writer.op("Sigmoid", self._conv(joined, "tail", gate.tail))

    def _skip(self, head: str, gate: Gate) -> str:
        assert gate.skip is not None
        if not gate.skip_terms:
            return self._conv(head, "skip", gate.skip)
        writer, weight = self.writer, array(gate.skip.weight)
        channels = np.flatnonzero(weight.any(axis=(0, 2, 3))).tolist()
        terms = []
        with writer.scope("skip"):
            for channel in channels or [0]:  # One of zeros, where all are.
                column = writer.weights("weight", weight[:, channel].reshape(1, -1, 1, 1))
                terms.append(writer.op("Mul", writer.slice(head, channels=(channel, channel + 1)), column))
            total = terms[0]
            for term in terms[1:]:
                total = writer.op("Add", total, term)
        return total

    def _conv(self, x: str, name: str, conv: nn.Module) -> str:
        if isinstance(conv, BSConv):
            with self.writer.scope(name):
                return self._conv(self._conv(x, "pw", conv.pw), "dw", conv.dw)
        plain = cast(nn.Conv2d, conv)
        bias = None if plain.bias is None else array(plain.bias)
        return self.writer.conv(x, name, array(plain.weight), bias, stride=plain.stride[0], groups=plain.groups)

    def _per_channel(self, name: str, values: Tensor) -> str:
        return self.writer.weights(name, array(values).reshape(1, -1, 1, 1))
