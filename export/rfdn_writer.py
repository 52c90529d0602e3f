"""The nodes of an RFDN: every `forward` of `efdn.rfdn.network`, written as ONNX."""

from __future__ import annotations

from efdn.rfdn.network import NEGATIVE_SLOPE, POOL_SIZE, POOL_STRIDE, RFDN, Attention, Block
from export.parts_writer import PartsWriter


class RFDNWriter(PartsWriter[RFDN]):
    """Writes one RFDN, as trained or folded."""

    block_output = "Mul"

    def write(self, x: str) -> str:
        writer, network = self.writer, self.network
        self._sizes = self.coarse_sizes(x, network.config.attention_planes)
        head = self.conv(x, "head", network.fea_conv)
        features, outputs = head, []
        for index, block in enumerate(network.blocks):
            with writer.scope(f"body.{index}"):
                features = self._block(features, block)
            outputs.append(features)
        x = self._active(self.conv(writer.op("Concat", *outputs, axis=1), "fusion", network.c[0]))
        x = self.conv(x, "refine", network.LR_conv)
        return self.conv(writer.op("Add", x, head), "tail", network.upsampler[0])

    def _block(self, x: str, block: Block) -> str:
        writer, distilled = self.writer, []
        for index, (keep, refine) in enumerate(zip(block.distilling, block.refining, strict=True)):
            distilled.append(self.conv(x, f"distill.{index}", keep))
            refined = self.conv(x, f"refine.{index}", refine)
            x = self._active(writer.op("Add", refined, x) if block.adds_input else refined)
        distilled.append(self.conv(x, f"distill.{len(distilled)}", block.c4))
        out = self.conv(self._active(writer.op("Concat", *distilled, axis=1)), "fusion", block.c5)
        with writer.scope("attention"):
            gate = self._gate(out, block.esa)
        return writer.op(self.block_output, out, gate)

    def _gate(self, x: str, attention: Attention) -> str:
        writer = self.writer
        head = self.conv(x, "head", attention.conv1)
        strided = self.conv(head, "stride", attention.conv2)
        coarse = writer.op("MaxPool", strided, kernel_shape=[POOL_SIZE] * 2, strides=[POOL_STRIDE] * 2)
        for index, conv in enumerate((attention.conv_max, attention.conv3)):
            coarse = writer.op("Relu", self.conv(coarse, f"group.{index}", conv))
        coarse = self.conv(coarse, "group.2", attention.conv3_)
        coarse = writer.op("Resize", coarse, "", "", self._sizes, mode="linear")
        joined = writer.op("Add", coarse, self.conv(head, "skip", attention.conv_f))
        return writer.op("Sigmoid", self.conv(joined, "tail", attention.conv4))

    def _active(self, x: str) -> str:
        return self.writer.op("LeakyRelu", x, alpha=NEGATIVE_SLOPE)
