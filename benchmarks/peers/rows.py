"""What is compared: networks, and what runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from efdn.errors import UsageError

EFDN, RFDN, INTERPOLATION = "EFDN", "RFDN", "interpolation"


class Source(str, Enum):
    """The models that rows run; see `benchmarks.peers.files`."""

    WEIGHTS = "packaged weights"
    GRAPH = "packaged ONNX file"
    PLAIN = "plain export"
    PLAIN_SLICES = "plain export, pads as slices"
    ENGINE = "TensorRT engine"
    RFDN_WEIGHTS = "RFDN's weights"
    RFDN_GRAPH = "RFDN's ONNX file"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One subject.

    Attributes:
        key: what users type.
        name: for people.
        engine: in the registry.
        source: what it runs.
        network: outputs of one network are compared with each other.
        note: how it was made, where that is not plain.
        reference: whether outputs of its network are compared with its own.
        scaling: whether it is measured over many sizes.
        weight: rows of less weight are left out first where time or memory is short.
    """

    key: str
    name: str
    engine: str
    source: Source
    network: str = EFDN
    note: str = ""
    reference: bool = False
    scaling: bool = False
    weight: int = 1


BASELINE = Row(
    key="published",
    name="PyTorch eager (baseline)",
    engine="pytorch-published",
    source=Source.WEIGHTS,
    note="the network as published, FP32, nothing folded, mixing as a circular pad and a depthwise convolution",
    reference=True,
    scaling=True,
    weight=9,
)
COMPILED = Row(
    key="compiled",
    name="PyTorch, torch.compile",
    engine="pytorch-compiled",
    source=Source.WEIGHTS,
    note="the published form",
)

ROWS = (
    BASELINE,
    Row(
        key="channels-last",
        name="PyTorch eager, channels_last",
        engine="pytorch-published-channels-last",
        source=Source.WEIGHTS,
        note="the published form",
        weight=3,
    ),
    Row(
        key="onnxruntime-plain",
        name="ONNX Runtime, plain export",
        engine="onnxruntime-cpu",
        source=Source.PLAIN,
        note="torch.onnx.export of the published form, fixed to the shape",
        weight=5,
    ),
    Row(
        key="openvino-plain",
        name="OpenVINO, plain export",
        engine="openvino",
        source=Source.PLAIN_SLICES,
        note="the same file with circular pads written as slices, since OpenVINO reads no others",
        weight=4,
    ),
    Row(
        key="onnxruntime",
        name="ONNX Runtime, efdn",
        engine="onnxruntime-cpu",
        source=Source.GRAPH,
        scaling=True,
        weight=8,
    ),
    Row(key="openvino", name="OpenVINO, efdn", engine="openvino", source=Source.GRAPH, scaling=True, weight=8),
    Row(
        key="tensorrt",
        name="TensorRT, efdn",
        engine="tensorrt",
        source=Source.ENGINE,
        note="FP16, 8-bit pictures in and out, fixed to the shape",
        weight=7,
    ),
    Row(
        key="rfdn-published",
        name="RFDN, PyTorch eager",
        engine="pytorch-published",
        source=Source.RFDN_WEIGHTS,
        network=RFDN,
        note="the challenge's configuration with random weights, which times do not depend on",
        reference=True,
        weight=2,
    ),
    Row(
        key="rfdn-onnxruntime",
        name="RFDN, ONNX Runtime, efdn",
        engine="onnxruntime-cpu",
        source=Source.RFDN_GRAPH,
        network=RFDN,
        weight=6,
    ),
    Row(
        key="rfdn-openvino",
        name="RFDN, OpenVINO, efdn",
        engine="openvino",
        source=Source.RFDN_GRAPH,
        network=RFDN,
        weight=6,
    ),
    Row(
        key="bicubic",
        name="bicubic, Pillow",
        engine="bicubic",
        source=Source.NONE,
        network=INTERPOLATION,
        note="on floats, one thread",
        weight=3,
    ),
)
"""In the order of the table. `torch.compile` is not among them: it compiles for minutes."""


def chosen_rows(keys: Sequence[str]) -> tuple[Row, ...]:
    """The rows of those keys after the baseline, or all of them without any.

    Raises:
        UsageError: there is no such row.
    """
    known = [row.key for row in ROWS]
    for key in keys:
        if key not in known:
            raise UsageError(f"no row {key!r}: expected {', '.join(known)}")
    return tuple(row for row in ROWS if not keys or row is BASELINE or row.key in keys)


def reference_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """Whose output a row's is compared with; None where that is not there, or for what is no network."""
    found = (other for other in rows if other.reference and other.network == row.network and other is not row)
    return next(found, None)
