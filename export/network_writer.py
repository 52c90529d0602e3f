"""The nodes of an EFDN in deploy form: every `forward` of `efdn.deploy`, `efdn.gate` and `efdn.mixers` as ONNX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
from torch import nn

from efdn.deploy import DeployBlock, DeployEFDN
from efdn.gate import POOL_SIZE, POOL_STRIDE, Gate
from efdn.layers import BSConv, conv_parts
from export.mixing_writer import MixingWriter, array
from export.parts_writer import PartsWriter


class NetworkWriter(PartsWriter[DeployEFDN]):
    """Writes one EFDN."""

    block_output = "Add"

    def write(self, x: str) -> str:
        writer, network = self.writer, self.network
        last = network.blocks[0].gate.group[-1]
        coarse = last.dw if isinstance(last, BSConv) else cast(nn.Conv2d, last)
        self._sizes = self.coarse_sizes(x, coarse.out_channels)
        if network.head_repeats > 1:
            x = writer.op("Concat", *[x] * network.head_repeats, axis=1)
        head = self.conv(x, "head", network.head)
        outputs = self._outputs(head)
        if network.add_up:
            fused = self._added_up(outputs, network.fusion, len(network.blocks))
        else:
            fused = self.conv(writer.op("Concat", *outputs, axis=1), "fusion", network.fusion)
        x = self.conv(writer.gelu(fused), "refine", network.refine)
        return self.conv(writer.op("Add", x, head), "tail", network.tail)

    def _outputs(self, features: str) -> Iterator[str]:
        """Of one block after the other."""
        for index, block in enumerate(self.network.blocks):
            with self.writer.scope(f"body.{index}"):
                features = self._block(features, block)
            yield features

    def _added_up(self, maps: Iterable[str], fusion: nn.Conv2d, count: int) -> str:
        """`efdn.layers.added_up`, every map's part written right after the map."""
        total = ""
        for index, (x, (weight, bias)) in enumerate(zip(maps, conv_parts(fusion, count), strict=True)):
            values = None if bias is None else array(bias)
            with self.writer.scope("fusion"):
                part = self.writer.conv(x, str(index), array(weight), values, stride=1, padding=0, groups=1)
                total = self.writer.op("Add", part, total) if total else part
        return total

    def _block(self, x: str, block: DeployBlock) -> str:
        writer = self.writer
        mixing = MixingWriter(writer)
        stages = mixing.write(x, block.mixing)
        if block.joined:
            stages = [writer.op("Concat", *stages, axis=1)]
        branches = [
            self.conv(stage, "branches" if block.joined else f"branch.{index}", branch)
            for index, (branch, stage) in enumerate(zip(block.branch_convs, stages, strict=True))
        ]
        if block.add_up:
            margins = block.mixing.margins
            # Activated before they are cropped: engines do that as part of the convolution.
            maps = [mixing.crop(writer.gelu(branch), margin) for branch, margin in zip(branches, margins, strict=True)]
            out = gate_reads = self._added_up(maps, block.fusion, len(maps))
        else:
            joined = branches[0] if block.joined else writer.op("Concat", *branches, axis=1)
            activated = writer.gelu(joined)
            out = self.conv(activated, "fusion", block.fusion)
            gate_reads = activated if block.gate_reads_branches else out
        with writer.scope("attention"):
            gate = self._gate(gate_reads, block.gate)
            gated = writer.op("Mul", out, gate)
        if block.gain is not None:
            gated = writer.op("Mul", gated, self.per_channel("gain", block.gain))
        carried = x if block.scale is None else writer.op("Mul", x, self.per_channel("scale", block.scale))
        result = writer.op("Add", gated, carried)
        return result if block.offset is None else writer.op("Add", result, self.per_channel("offset", block.offset))

    def _gate(self, x: str, gate: Gate) -> str:
        writer = self.writer
        head = self.conv(x, "head", gate.head)
        strided = self.conv(head, "stride", gate.stride)
        coarse = writer.op("MaxPool", strided, kernel_shape=[POOL_SIZE] * 2, strides=[POOL_STRIDE] * 2)
        for index, layer in enumerate(gate.group):
            if isinstance(layer, nn.ReLU):
                coarse = writer.op("Relu", coarse)
            else:
                coarse = self.conv(coarse, f"group.{index}", layer)
        coarse = writer.op("Resize", coarse, "", "", self._sizes, mode="linear")
        if gate.tail is None:
            return writer.op("Sigmoid", writer.op("Add", coarse, self._skip(head, gate)))
        if gate.skip is None:
            joined = writer.op("Concat", coarse, head, axis=1)
        else:
            joined = writer.op("Add", coarse, self._skip(head, gate))
        return writer.op("Sigmoid", self.conv(joined, "tail", gate.tail))

    def _skip(self, head: str, gate: Gate) -> str:
        assert gate.skip is not None
        if not gate.skip_terms:
            return self.conv(head, "skip", gate.skip)
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
