"""What a builder's log tells of an engine: types, bytes, copies and where they come from."""

import json
import re
from typing import Any

import pytest

from export.plan import (
    Category,
    Group,
    Kernel,
    Plan,
    PlanTensor,
    plan_from_build_log,
    plan_from_inspector,
    plan_to_json,
)

VERBATIM = (
    "Name: head/Conv_U1_myl0_1, LayerType: correlation, Inputs: [ { Name: head/Conv.1_2_myl0, Dimensions: "
    "[1,4,256,256], Strides: [262144,1,1024,4], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major "
    "format }], Constants: [ { Name: __mye29090_dconst_myl0, Dimensions: [48,4,3,3], Strides: [36,1,12,4], "
    "StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }, { Name: __mye31953_const_myl0, "
    "Dimensions: [1], Strides: [1], StrideOrder: [0], Datatype: Float, Format: (Linear) Row major linear format }], "
    "Outputs: [ { Name: __myln_k_arg__bb1_3_myl0, Dimensions: [1,48,256,256], Strides: [3145728,1,12288,48], "
    "StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }], TacticName: __myelin_CASK_STUB, "
    "StreamId: 0, Metadata: [ONNX Layer: head/Conv][ONNX Layer: body.0/Mul]"
)


def tensors(*described: str) -> str:
    """Tensors as the builder logs them, each from "name shape type"."""
    fields = (text.split() for text in described)
    logged = (
        f"{{ Name: {name}, Dimensions: [{shape}], Strides: [1,2], Datatype: {dtype}, Format: (NHWC) x }}"
        for name, shape, dtype in fields
    )
    return f"[ {', '.join(logged)}]"


def entry(name: str, kind: str, inputs: list[str], outputs: list[str], *layers: str, constants: str = "") -> str:
    """A line of a build log; without constants the list is left out, as some kernels' lines do."""
    middle = f"Constants: {tensors(*constants.split('; '))}, " if constants else ""
    metadata = "".join(f"[ONNX Layer: {layer}]" for layer in layers)
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: {tensors(*inputs)}, {middle}Outputs: {tensors(*outputs)}, "
        f"TacticName: t, StreamId: 0, Metadata: {metadata}"
    )


WEIGHTS = "w 12,4,3,3 Half; one 1 Float; one 1 Float"
LOG = [
    "Registering layer: Name of something else",
    entry("__myl_CastTranConc_myl0_0", "kgen", ["input 1,8,8,3 UInt8"], ["a 1,4,8,8 Half"], "Cast", "head/Conv"),
    "Name: wait_1, LayerType: wait, Inputs: [], Outputs: [], TacticName: , StreamId: 0, Metadata: ",
    entry(
        "head/Conv_U1_myl0_1", "correlation", ["a 1,4,8,8 Half"], ["b 1,12,8,8 Half"], "head/Conv", constants=WEIGHTS
    ),
    entry(
        "__myl_SlicSlicConcMulErfEtc_myl0_2",
        "kgen",
        ["b 1,12,8,8 Half"] * 3,
        ["c 1,11,8,8 Half", "d 1,12,1,8 Half"],
        "body.0/Slice_1",
        "body.0/Slice_2",
        "body.0/Gelu",
    ),
    entry("__myl_Conc_myl0_3", "runtime_function", ["c 1,11,8,8 Half"], ["e 1,12,8,8 Half"], "body.0/stride/Conv"),
    entry("body.0/MaxPool_U48_myl0_4", "maxpool", ["e 1,12,8,8 Half"], ["f 1,12,2,2 Half"], "body.0/MaxPool"),
    entry("__myl_ResiConc_myl0_5", "kgen", ["f 1,12,2,2 Half"], ["g 1,12,8,8 Half"], "body.0/Resize"),
    entry(
        "__myl_CorrMulAdd_myl0_6", "runtime_fusion", ["g 1,12,8,8 Half"], ["h 1,12,8,8 Half"], "body.10/A", "body.9/B"
    ),
    entry("__myl_Tran_myl0_7", "runtime_function", ["h 1,12,8,8 Half"], ["i 1,8,8,12 Half"], "Transpose"),
    entry("__myl_RounMoveCast_myl0_8", "kgen", ["i 1,8,8,12 Half"], ["output 1,16,16,3 UInt8"], "Round"),
]


@pytest.fixture
def plan() -> Plan:
    return plan_from_build_log(LOG)


def test_a_line_of_a_real_log_is_read_whole() -> None:
    (kernel,) = plan_from_build_log([VERBATIM]).kernels
    assert kernel == Kernel(
        name="head/Conv_U1_myl0_1",
        kind="correlation",
        inputs=(PlanTensor(name="head/Conv.1_2_myl0", shape=(1, 4, 256, 256), dtype="half"),),
        outputs=(PlanTensor(name="__myln_k_arg__bb1_3_myl0", shape=(1, 48, 256, 256), dtype="half"),),
        constants=(
            PlanTensor(name="__mye29090_dconst_myl0", shape=(48, 4, 3, 3), dtype="half"),
            PlanTensor(name="__mye31953_const_myl0", shape=(1,), dtype="float"),
        ),
        layers=("head/Conv", "body.0/Mul"),
    )
    assert (kernel.bytes_read, kernel.bytes_written) == (4 * 256 * 256 * 2, 48 * 256 * 256 * 2)
    assert kernel.constant_bytes == 48 * 4 * 9 * 2 + 4
    assert kernel.half


def test_every_kernel_has_its_category_and_bytes(plan: Plan) -> None:
    assert [(k.category.value, k.bytes_read, k.bytes_written, k.block) for k in plan.kernels] == [
        ("pointwise", 192, 512, None),  # a cast changes values, so this is no copy
        ("convolution", 512, 1536, None),
        ("pointwise", 1536, 1408 + 192, 0),  # three slices of one input are one input
        ("copy", 1408, 1536, 0),
        ("pooling", 1536, 96, 0),
        ("resize", 96, 1536, 0),
        ("convolution", 1536, 1536, 10),
        ("copy", 1536, 1536, None),
        ("pointwise", 1536, 768, None),
    ]


def test_totals_and_groups_add_up(plan: Plan) -> None:
    assert plan.half_share == 8 / 9
    assert plan.bytes_moved == 20544
    assert plan.constant_bytes == 12 * 4 * 9 * 2 + 4
    assert plan.input_pixels == 64
    assert plan.by_category() == {
        "convolution": Group(kernels=2, bytes_moved=5120),
        "pointwise": Group(kernels=3, bytes_moved=6144),
        "pooling": Group(kernels=1, bytes_moved=1632),
        "resize": Group(kernels=1, bytes_moved=1632),
        "copy": Group(kernels=2, bytes_moved=6016),
    }
    assert {kind: group.kernels for kind, group in plan.by_kind().items()} == {
        "kgen": 4, "correlation": 1, "runtime_function": 2, "maxpool": 1, "runtime_fusion": 1
    }  # fmt: skip
    assert [kernel.bytes_moved for kernel in plan.largest(2)] == [3136, 3072]


def test_copies_are_told_with_where_they_come_from(plan: Plan) -> None:
    assert [kernel.layers for kernel in plan.copies] == [("body.0/stride/Conv",), ("Transpose",)]
    assert [kernel.layers for kernel in plan.copies_inside_blocks] == [("body.0/stride/Conv",)]


@pytest.mark.parametrize(
    ("name", "kind", "category"),
    [
        ("__myl_ReplConc_myl0_1", "kgen", "copy"),
        ("__myl_SlicConcEtc_myl0_1", "kgen", "pointwise"),  # what was cut off may compute
        ("__myl_SlicNew_myl0_1", "kgen", "pointwise"),
        ("__myl_Cast_myl0_1", "kgen", "pointwise"),
        ("__myl_ResiMulAdd_myl0_1", "kgen", "pointwise"),
        ("body.0/MatMul_U28_myl0_4", "gemm", "convolution"),
        ("body.0/Conv + body.0/Relu", "CaskConvolution", "convolution"),
        ("Reformatting CopyNode for Input Tensor 0 to head/Conv", "Reformat", "copy"),
        ("__mye39568_0_myl0_0", "kgen", "other"),
        ("", "something new", "other"),
    ],
)
def test_category_follows_the_operations_then_the_kind(name: str, kind: str, category: str) -> None:
    kernel = Kernel(name=name, kind=kind)
    assert kernel.category is Category(category)
    assert kernel.copies_only == (category == "copy")


def test_operations_are_read_from_generated_names_only() -> None:
    assert Kernel(name="__myl_ResiMulEtc_myl0_12", kind="kgen").operations == ("Resi", "Mul", "Etc")
    assert Kernel(name="body.0/MaxPool_U48_myl0_6", kind="maxpool").operations == ()


def test_without_layers_the_name_tells_the_block() -> None:
    assert Kernel(name="body.3/MaxPool_U48_myl0_6", kind="maxpool").block == 3
    assert Kernel(name="antibody.3/x", kind="maxpool").block is None


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [
        ((), "float", 4),
        ((2, 3), "uint8", 6),
        ((0, 3), "half", 0),
        ((1, -1), "half", None),
        (None, "half", None),
        ((1,), "complex", None),
    ],
)
def test_a_size_that_is_not_known_is_none(shape: tuple[int, ...] | None, dtype: str, size: int | None) -> None:
    assert PlanTensor(name="x", shape=shape, dtype=dtype).bytes == size


def test_dynamic_shapes_make_the_sums_unknown_but_not_the_counts() -> None:
    dynamic = [re.sub(r"(\[1,\d+),8,8\]", r"\1,-1,-1]", line) for line in LOG]
    shapes = "Name: s, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0"
    plan = plan_from_build_log([shapes, *dynamic])
    assert plan.kernels[1].inputs[0].shape == (1, 4, -1, -1)
    assert (len(plan.kernels), plan.bytes_moved, len(plan.copies)) == (9, None, 2)
    assert plan.by_category()["copy"] == Group(kernels=2, bytes_moved=None)


def test_lists_and_shapes_may_be_missing() -> None:
    inputs, outputs = "{ Name: x, Datatype: Half }", "{ Name: y, Datatype: BFloat16 }"
    line = f"Name: a, LayerType: kgen, Inputs: [ {inputs}], Outputs: [ {outputs}]"
    (kernel,) = plan_from_build_log([line]).kernels
    assert kernel.inputs == (PlanTensor(name="x", shape=None, dtype="half"),)
    assert kernel.outputs == (PlanTensor(name="y", shape=None, dtype="bfloat16"),)
    assert (kernel.constants, kernel.constant_bytes, kernel.bytes_moved) == ((), 0, None)


def test_an_empty_log_is_an_empty_plan() -> None:
    plan = plan_from_build_log([])
    assert (plan.kernels, plan.half_share, plan.bytes_moved, plan.input_pixels) == ((), 0.0, 0, None)
    assert plan.by_category() == {}


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("Row major linear FP16 format", "half"),
        ("Row major linear FP32", "float"),
        ("Half", "half"),
        ("BFloat16", "bfloat16"),
        ("Row major Int8 format", "int8"),
        ("Channel major UInt8", "uint8"),
    ],
)
def test_inspector_gives_shapes_types_and_layers(text: str, dtype: str) -> None:
    tensor = {"Name": "x", "Dimensions": [1, 3, 8, 8], "Format/Datatype": text}
    layer = {
        "Name": "a",
        "LayerType": "Conv",
        "Inputs": [tensor],
        "Outputs": [],
        "Metadata": "[ONNX Layer: body.2/Conv]",
    }
    (kernel,) = plan_from_inspector(json.dumps({"Layers": [layer, {"LayerType": "wait"}]})).kernels
    assert kernel.inputs == (PlanTensor(name="x", shape=(1, 3, 8, 8), dtype=dtype),)
    assert (kernel.layers, kernel.block) == (("body.2/Conv",), 2)


def test_pixels_are_told_for_pictures_only() -> None:
    def pixels(*shape: int) -> int | None:
        tensor = PlanTensor(name="x", shape=shape, dtype="half")
        return Plan(kernels=(Kernel(name="a", kind="b", inputs=(tensor,)),)).input_pixels

    assert (pixels(2, 3, 4, 5), pixels(2, 4, 5, 3)) == (40, 40)
    assert (pixels(1, 4, 8, 8), pixels(1, 3, -1, -1), pixels(3, 8, 8)) == (None, None, None)


def test_json_has_totals_and_every_kernel(plan: Plan) -> None:
    content: dict[str, Any] = json.loads(json.dumps(plan_to_json(plan)))
    assert content["schema"] == 1
    assert content["totals"] == {
        "kernels": 9,
        "half_share": 8 / 9,
        "bytes_moved": 20544,
        "constant_bytes": 868,
        "input_pixels": 64,
        "copies": 2,
        "copies_inside_blocks": 1,
    }
    assert content["by_category"]["copy"] == {"kernels": 2, "bytes_moved": 6016}
    copy = content["kernels"][3]
    assert (copy["category"], copy["operations"], copy["block"]) == ("copy", ["Conc"], 0)
    assert copy["inputs"] == [{"name": "c", "shape": [1, 11, 8, 8], "dtype": "half"}]
