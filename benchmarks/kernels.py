"""Kernels of the FP16 engine at 256x256 as the transforms are added one by one: `python -m benchmarks.kernels`.

Needs TensorRT for RTX, but no GPU: the builder logs the plan it made. Prints a Markdown table.
"""

from __future__ import annotations

import copy

from efdn.assets import DEFAULT_WEIGHTS
from efdn.deploy import DeployEFDN
from efdn.folding import fold_batch_norms
from efdn.passes.pipeline import DEPLOY_TRANSFORMS
from efdn.weights import load_network
from export.artefacts import shape_range
from export.build_progress import quiet
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.trt_builders import BuildRequest, RtxBuilder

SIDE = 256


def main() -> None:
    """Prints one row after each transform."""
    network = fold_batch_norms(copy.deepcopy(load_network(DEFAULT_WEIGHTS)).double())
    print("| form | kernels | half precision | engine |\n|---|---|---|---|")
    report("norms folded", network)
    for transform in DEPLOY_TRANSFORMS:
        network = transform(network)
        report(f"+ `{transform.__name__}`", network)


def report(form: str, network: DeployEFDN) -> None:
    """Builds an engine for one GPU generation and prints its row."""
    model = write_onnx(network, precision=Precision.FP16, opset=20, shape=(SIDE, SIDE))
    request = BuildRequest(graph=model.SerializeToString(), precision=Precision.FP16, shape=shape_range((SIDE, SIDE)))
    built = RtxBuilder(("sm86",)).build(request, quiet)
    plan = built.plan
    print(f"| {form} | {len(plan.kernels)} | {plan.half_share:.1%} | {len(built.content) / 1e6:.1f} MB |", flush=True)


if __name__ == "__main__":
    main()
