"""Two engines that are not for use: `python -m benchmarks.experiments`, which needs TensorRT for RTX but no GPU.

The network without any attention shows what mixing, branches and fusion alone move.
The one with quantized branches and fusions shows what INT8 does to the plan: weights
per output channel, inputs per tensor, by QuantizeLinear and DequantizeLinear. Its
scales are not calibrated, which makes no difference to a plan.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.passes import figures_of, packaged_network
from efdn.passes.pipeline import deploy_network, find_passes
from export.artefacts import shape_range
from export.build_progress import quiet
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.trt_builders import BuildRequest, RtxBuilder

SIDE = 256


def main() -> None:
    """Prints a row for each graph."""
    print("| graph | kernels | kB per pixel | engine |\n|---|---|---|---|")
    for name, model in (
        ("default", default_graph()),
        ("no attention", without_attention(default_graph())),
        ("INT8 branches and fusions", with_int8(default_graph())),
    ):
        request = BuildRequest(
            graph=model.SerializeToString(),
            precision=Precision.FP16,
            io=IOFormat.UINT8,
            shapes=(shape_range((SIDE, SIDE)),),
        )
        built = RtxBuilder(("sm86",)).build(request, quiet)
        figures = figures_of(built)
        per_pixel = (figures.bytes_moved or 0) / SIDE**2 / 1e3
        print(f"| {name} | {figures.kernels} | {per_pixel:.1f} | {len(built.content) / 1e6:.1f} MB |", flush=True)


def default_graph() -> onnx.ModelProto:
    """The FP16 graph of the default engine."""
    network = deploy_network(packaged_network(), find_passes("tensorrt", pictures=True))
    return write_onnx(network, precision=Precision.FP16, opset=20, shape=(SIDE, SIDE), io=IOFormat.UINT8)


def without_attention(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with what each gate is multiplied by let through; nothing reads the gates then."""
    for node in model.graph.node:
        if node.name.endswith("/attention/Mul"):
            node.op_type = "Identity"
            del node.input[1:]
    return model


def with_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the 1x1 convolutions of branches and fusions of the blocks in INT8."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.name.startswith("body.") and node.name.endswith(("/branches/Conv", "/fusion/Conv")):
            nodes += _quantized(model, node, weights[node.input[1]])
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _quantized(
    model: onnx.ModelProto, conv: onnx.NodeProto, weight: np.ndarray[tuple[int, ...], np.dtype[np.floating]]
) -> list[onnx.NodeProto]:
    """Nodes that make input and weight of a convolution INT8 and back; the convolution is made to read them."""
    name = conv.name
    scales = np.maximum(np.abs(weight).reshape(len(weight), -1).max(axis=1).astype(np.float32) / 127, 1e-4)
    integers = np.clip(np.rint(weight / scales[:, None, None, None]), -127, 127).astype(np.int8)
    constants = {
        "x_scale": np.float16(0.02),
        "x_zero": np.int8(0),
        "w": integers,
        "w_scale": scales.astype(np.float16),
        "w_zero": np.zeros(len(scales), np.int8),
    }
    for suffix, values in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), f"{name}/{suffix}"))
    x, x_scale, x_zero, w, w_scale, w_zero = (conv.input[0], *(f"{name}/{suffix}" for suffix in constants))
    conv.input[0], conv.input[1] = f"{name}/dequantized", f"{name}/weight"
    return [
        helper.make_node("QuantizeLinear", [x, x_scale, x_zero], [f"{name}/quantized"]),
        helper.make_node("DequantizeLinear", [f"{name}/quantized", x_scale, x_zero], [f"{name}/dequantized"]),
        helper.make_node("DequantizeLinear", [w, w_scale, w_zero], [f"{name}/weight"], axis=0),
    ]


if __name__ == "__main__":
    main()
