"""ONNX files read without the onnx package, held to it."""

import math
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from efdn.assets import DEFAULT_ONNX
from efdn.inspection import onnx_file
from efdn.inspection.details import MalformedError
from efdn.inspection.kinds import FileKind, tell_kind
from efdn.inspection.onnx_file import OnnxDetails, read_onnx
from efdn.inspection.wire import Message


def odd_model() -> onnx.ModelProto:
    """One of everything that the packaged graph does not have."""
    constants = [
        numpy_helper.from_array(np.arange(6, dtype=np.float16).reshape(2, 3), "raw"),
        helper.make_tensor("floats", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
        helper.make_tensor("more", TensorProto.FLOAT, [0, 5], []),
        helper.make_tensor("numbers", TensorProto.INT64, [2], [-1, 1 << 40]),
        helper.make_tensor("single", TensorProto.INT64, [], [7]),
        helper.make_tensor("nibbles", TensorProto.INT4, [3], [1, -2, 3]),
        numpy_helper.from_array(np.array(["a", "bc"], object), "words"),
    ]
    outside = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0")):
        outside.external_data.add(key=key, value=value)
    # Entries without the location that they belong to say nothing.
    constants[0].external_data.add(key="location", value="nowhere.bin")
    unranked = onnx.ValueInfoProto(name="unranked")
    unranked.type.tensor_type.elem_type = TensorProto.UINT8
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT16, [None, 3, "h", -1]),
        helper.make_tensor_value_info("scalar", TensorProto.BOOL, []),
        helper.make_tensor_value_info("floats", TensorProto.FLOAT, [3]),
        helper.make_tensor_sequence_value_info("many", TensorProto.FLOAT, None),
        unranked,
    ]
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Gelu", ["y"], ["z"], domain="com.example")]
    outputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT16, None)]
    graph = helper.make_graph(nodes, "odd", inputs, outputs, [*constants, outside])
    opsets = [helper.make_opsetid("com.example", 3), helper.make_opsetid("ai.onnx", 21)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="me", ir_version=10, doc_string="two\nlines")
    helper.set_model_props(model, {"key": "value", "leer": ""})
    return model


def by_onnx(model: onnx.ModelProto) -> OnnxDetails:
    """The same by way of the onnx package."""
    graph, names = model.graph, {constant.name for constant in model.graph.initializer}
    tensors, elements = Counter[str](), Counter[str]()
    for constant in graph.initializer:
        tensors[type_name(constant.data_type)] += 1
        elements[type_name(constant.data_type)] += math.prod(constant.dims)
    sizes = {"float32": 4, "float16": 2, "int64": 8, "int4": 0.5, "string": 0}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    outside = [tensor for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    locations = (pair.value for tensor in outside for pair in tensor.external_data if pair.key == "location")
    return OnnxDetails(
        opset=opsets.get("", opsets.get("ai.onnx")),
        other_opsets={key: value for key, value in opsets.items() if key not in ("", "ai.onnx")},
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        graph=graph.name,
        description=model.doc_string,
        inputs=tuple(boundary(entry) for entry in graph.input if entry.name not in names),
        outputs=tuple(boundary(entry) for entry in graph.output),
        nodes=len(graph.node),
        operators=dict(Counter(f"{node.domain}.{node.op_type}".strip(".") for node in graph.node)),
        initializers=tuple(
            onnx_file.Initializers(dtype=name, tensors=count, bytes=math.ceil(elements[name] * sizes[name]))
            for name, count in tensors.most_common()
        ),
        external_files=tuple(locations),
        metadata={entry.key: entry.value for entry in model.metadata_props},
    )


def type_name(kind: int) -> str:
    name: str = TensorProto.DataType.Name(kind)
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def boundary(value: onnx.ValueInfoProto) -> onnx_file.Boundary:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return onnx_file.Boundary(name=value.name, dtype="no tensor", shape=None)
    sides = tuple(side.dim_value if side.HasField("dim_value") else side.dim_param or None for side in tensor.shape.dim)
    shape = sides if tensor.HasField("shape") else None
    return onnx_file.Boundary(name=value.name, dtype=type_name(tensor.elem_type), shape=shape)


@pytest.mark.parametrize("model", [onnx.load(DEFAULT_ONNX), odd_model()], ids=["packaged", "odd"])
def test_onnx_files_read_as_the_onnx_package_reads_them(model: onnx.ModelProto) -> None:
    content = model.SerializeToString()
    assert tell_kind(content[:64]) is FileKind.ONNX
    assert read_onnx(content) == by_onnx(model)


def test_onnx_types_are_those_of_the_onnx_package() -> None:
    # Older versions of the package have fewer of them, newer ones may have more.
    numbers = onnx_file.TYPES.keys() & TensorProto.DataType.values()
    assert len(numbers) >= 20
    for number in numbers:
        name, bits = onnx_file.TYPES[number]
        assert name == type_name(number)
        if bits >= 8:
            assert bits == 8 * helper.tensor_dtype_to_np_dtype(number).itemsize


def test_numbers_of_the_wire_format() -> None:
    content = bytes.fromhex("08 96 01  10 ff ff ff ff ff ff ff ff ff 01  1a 04 01 80 80 02  18 05  25 00 00 80 3f")
    message = Message(content, 0, len(content))
    assert message.number(1) == 150
    assert message.number(2) == -1
    assert sorted(message.numbers(3)) == [1, 5, 32768]
    assert message.number(9) == 0
    assert not message.has(9)


@pytest.mark.parametrize(
    "content", ["08", "0880", "08 ffffffffffffffffffffff01", "0a05 61", "0b", "25 00", "0d 000000"]
)
def test_broken_messages_are_refused(content: str) -> None:
    with pytest.raises(MalformedError):
        Message(bytes.fromhex(content), 0, len(bytes.fromhex(content)))


@pytest.mark.parametrize(("drop", "said"), [("graph", "holds no graph"), ("opset_import", "names no operator set")])
def test_an_onnx_file_without_its_parts_is_refused(drop: str, said: str) -> None:
    model = odd_model()
    model.ClearField(drop)
    with pytest.raises(MalformedError, match=said):
        read_onnx(model.SerializeToString())
