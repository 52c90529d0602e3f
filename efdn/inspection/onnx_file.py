"""What an ONNX file says of itself, read without the onnx package.

Field numbers are those of onnx/onnx.proto; the tests hold the result to the onnx package.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from efdn.inspection.details import (
    Content,
    MalformedError,
    Section,
    bytes_text,
    counts_text,
    metadata_section,
    printable,
    shape_text,
)
from efdn.inspection.tensors import checked_shape
from efdn.inspection.wire import Message
from efdn.sidecar import Sidecar

# By TensorProto.DataType: the name, and the bits of one element (0: its elements have no fixed size).
TYPES = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("string", 0),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8e4m3fn", 8),
    18: ("float8e4m3fnuz", 8),
    19: ("float8e5m2", 8),
    20: ("float8e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4e2m1", 4),
    24: ("float8e8m0", 8),
    25: ("uint2", 2),
    26: ("int2", 2),
    27: ("float6e2m3", 6),
    28: ("float6e3m2", 6),
}
DEFAULT_DOMAINS = ("", "ai.onnx")
EXTERNAL = 1


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """An input or output of the graph.

    Attributes:
        name: as runtimes want it.
        dtype: such as "float32".
        shape: a number for a fixed side, a name for a free one, None for a free one without a name; None as a
            whole where not even the number of sides is said.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        return f"{self.dtype} {'any shape' if self.shape is None else shape_text(self.shape)}"


@dataclass(frozen=True, kw_only=True)
class Initializers:
    """The constants of one type: how many tensors, and the bytes of their elements."""

    dtype: str
    tensors: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class OnnxDetails:
    """What an ONNX file says of itself.

    Attributes:
        opset: of the default operators; None where the graph uses other domains alone.
        other_opsets: of further operators, by domain.
        ir_version: of the file format.
        producer: the program and its version.
        graph: its name.
        description: the model's doc string.
        inputs: without those that are only constants.
        outputs: of the graph.
        nodes: number of nodes of the main graph.
        operators: nodes by operator, with the domain where it is not the default one.
        initializers: by type.
        external_files: files beside this one that hold constants.
        metadata: `metadata_props`.
    """

    opset: int | None
    other_opsets: dict[str, int]
    ir_version: int
    producer: str
    graph: str
    description: str
    inputs: tuple[Boundary, ...]
    outputs: tuple[Boundary, ...]
    nodes: int
    operators: dict[str, int]
    initializers: tuple[Initializers, ...]
    external_files: tuple[str, ...]
    metadata: dict[str, str]

    def sections(self) -> list[Section]:
        others = "".join(f", {printable(domain)} {version}" for domain, version in self.other_opsets.items())
        rows = [
            ("opset", f"{'none' if self.opset is None else self.opset}{others}"),
            ("IR version", str(self.ir_version)),
            ("producer", printable(self.producer) or "not said"),
            ("name", printable(self.graph) or "none"),
            ("description", printable(self.description)),
        ]
        rows += [(f"input {printable(entry.name)}", str(entry)) for entry in self.inputs]
        rows += [(f"output {printable(entry.name)}", str(entry)) for entry in self.outputs]
        rows.append(("nodes", f"{self.nodes:,}: {counts_text(self.operators)}" if self.nodes else "none"))
        for group in self.initializers:
            rows.append((f"{group.dtype} constants", f"{group.tensors:,}, {bytes_text(group.bytes)}"))
        if self.external_files:
            rows.append(("constants in", ", ".join(map(printable, self.external_files))))
        return [("graph", [(name, text) for name, text in rows if text]), metadata_section(self.metadata)]

    def contradictions(self, sidecar: Sidecar) -> list[str]:
        said = {
            "opset": sidecar.opset,
            "architecture": sidecar.architecture,
            "scale": sidecar.scale,
            "data_range": f"{sidecar.data_range:.15g}",
            "io": sidecar.io,
            "precision": sidecar.precision,
            "weights_sha256": sidecar.weights_sha256,
        }
        here = {"opset": "" if self.opset is None else str(self.opset), **self.metadata}
        return [
            f"it says {name} {value}, the file {printable(here[name]) or 'none'}"
            for name, value in said.items()
            if name in here and here[name] != str(value)
        ]


def read_onnx(content: Content) -> OnnxDetails:
    """Reads an ONNX file.

    Raises:
        MalformedError: broken, cut off, or not ONNX.
    """
    model = Message(content, 0, len(content))
    graph = next(model.messages(7), None)
    if graph is None:
        raise MalformedError("it holds no graph")
    opsets = {entry.text(1): entry.number(2) for entry in model.messages(8)}
    if not opsets:
        raise MalformedError("it names no operator set")
    nodes = Counter(".".join(filter(None, (_own_domain(node.text(7)), node.text(4)))) for node in graph.messages(1))
    constants = list(graph.messages(5))
    names = {constant.text(8) for constant in constants}
    inputs = (_boundary(entry) for entry in graph.messages(11))
    return OnnxDetails(
        opset=next((opsets[domain] for domain in DEFAULT_DOMAINS if domain in opsets), None),
        other_opsets={domain: version for domain, version in opsets.items() if domain not in DEFAULT_DOMAINS},
        ir_version=model.number(1),
        producer=" ".join(filter(None, (model.text(2), model.text(3)))),
        graph=graph.text(2),
        description=model.text(6),
        inputs=tuple(entry for entry in inputs if entry.name not in names),
        outputs=tuple(_boundary(entry) for entry in graph.messages(12)),
        nodes=nodes.total(),
        operators=dict(nodes.most_common()),
        initializers=_initializers(constants),
        external_files=_external_files(constants),
        metadata={entry.text(1): entry.text(2) for entry in model.messages(14)},
    )


def _own_domain(domain: str) -> str:
    return "" if domain in DEFAULT_DOMAINS else domain


def _boundary(value: Message) -> Boundary:
    """A ValueInfoProto; what is no tensor (a sequence, say) has no type here."""
    tensor = next((tensor for kind in value.messages(2) for tensor in kind.messages(1)), None)
    if tensor is None:
        return Boundary(name=value.text(1), dtype="no tensor", shape=None)
    shape = next(tensor.messages(2), None)
    sides = None if shape is None else tuple(_side(side) for side in shape.messages(1))
    return Boundary(name=value.text(1), dtype=_type_name(tensor.number(1)), shape=sides)


def _side(dimension: Message) -> int | str | None:
    return dimension.number(1) if dimension.has(1) else dimension.text(2) or None


def _initializers(constants: list[Message]) -> tuple[Initializers, ...]:
    """Sums by type. Bytes are of the elements, however they are stored."""
    tensors, bits = Counter[int](), Counter[int]()
    for constant in constants:
        kind = constant.number(2)
        tensors[kind] += 1
        bits[kind] += math.prod(checked_shape(constant.numbers(1), constant.text(8))) * TYPES.get(kind, ("", 0))[1]
    return tuple(
        Initializers(dtype=_type_name(kind), tensors=count, bytes=math.ceil(bits[kind] / 8))
        for kind, count in tensors.most_common()
    )


def _external_files(constants: list[Message]) -> tuple[str, ...]:
    entries = (entry for constant in constants if constant.number(14) == EXTERNAL for entry in constant.messages(13))
    return tuple(dict.fromkeys(entry.text(2) for entry in entries if entry.text(1) == "location"))


def _type_name(kind: int) -> str:
    return TYPES[kind][0] if kind in TYPES else f"type {kind}"
