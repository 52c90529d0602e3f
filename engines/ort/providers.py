"""ONNX Runtime's execution providers, and whether the one asked for does the work.

ONNX Runtime moves to the CPU where a provider does not load, with no more than a
line in its log, and places single nodes there as it sees fit. The latter is right
for nodes that compute shapes, so its option `session.disable_cpu_ep_fallback` is of
no use here: it refuses every node on the CPU, and with it all dynamic graphs. What
must not end up elsewhere are the convolutions.
https://github.com/microsoft/onnxruntime/pull/16016
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from efdn.errors import EngineError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

SHORT_NAMES = {CPU: "CPU", CUDA: "CUDA", TENSORRT: "TensorRT"}

Provider = str | tuple[str, dict[str, str]]
"""A provider's name, with its options where it has any."""

RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"
"""Setting of a session for `check_provider` to look at nodes. ONNX Runtime answers from 1.24 on."""

NEEDS = {
    CUDA: "check that driver, CUDA and cuDNN are those this onnxruntime-gpu needs",
    TENSORRT: "check that driver, CUDA, cuDNN and TensorRT are those this onnxruntime-gpu needs",
}


def name_of(provider: Provider) -> str:
    """A provider's name."""
    return provider if isinstance(provider, str) else provider[0]


def check_provider(session: Any, wanted: str) -> None:
    """Makes sure that an open session runs where it should.

    Raises:
        EngineError: ONNX Runtime chose another provider, for the session or for convolutions.
    """
    used = session.get_providers()[0]
    if used != wanted:
        raise EngineError(
            f"ONNX Runtime fell back to {used} although {wanted} was asked for: {NEEDS.get(wanted, 'install it anew')}"
        )
    placed = _convolutions(session)
    elsewhere = placed.total() - placed[wanted]
    if elsewhere:
        others = ", ".join(name for name in placed if name != wanted)
        raise EngineError(
            f"ONNX Runtime placed {elsewhere} of {placed.total()} convolutions on {others} although {wanted} was "
            f"asked for: {NEEDS.get(wanted, 'install it anew')}, or take another engine"
        )


def _convolutions(session: Any) -> Counter[str]:
    """Numbers of convolutions by provider; none where ONNX Runtime does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return Counter()
    return Counter(
        str(part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
        if "Conv" in node.op_type
    )
