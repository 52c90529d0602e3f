"""What Triton is told of a model is what the model file is, in words that Triton's own schema has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from efdn.errors import ExportError, UsageError
from efdn.shapes import ShapeRange
from efdn.sidecar import Sidecar
from export.triton.model_config import Kind, ModelConfig, Tensor, WarmUp
from export.triton.models import engine_model, onnx_model
from export.triton.text_format import Message, Symbol
from tests.inference_samples import fixed
from tests.test_sidecar import make_sidecar
from tests.triton_samples import parsed

MODEL = Path("model.onnx")
PICTURES = ("batch", "height", "width", 3)
UPSCALED = ("batch", "height_x4", "width_x4", 3)


def write_graph(source: tuple[Any, ...] = PICTURES, kind: int = TensorProto.UINT8) -> Path:
    ends = (
        helper.make_tensor_value_info("input", kind, source),
        helper.make_tensor_value_info("output", kind, (source[0], *UPSCALED[1:])),
    )
    graph = helper.make_graph([], "nothing", [ends[0]], [ends[1]])
    onnx.save(helper.make_model(graph), MODEL)
    return MODEL


def onnx_config(**options: Any) -> Any:
    return parsed(str(onnx_model(write_graph(), "efdn_x4", **{"max_batch": 4, **options})))


def engine(*shapes: ShapeRange, batch: int = 1) -> Sidecar:
    sidecar = make_sidecar(io="uint8", shapes=shapes, batch=batch)
    assert sidecar.build is not None
    return replace(sidecar, build=replace(sidecar.build, runtime="tensorrt"))


def test_every_field_of_an_onnx_model_reads_as_it_was_meant() -> None:
    config = onnx_config(kind=Kind.CPU, instances=2, warm_ups=((64, 48), (32, 40)), threads=3)
    pb = type(config)
    uint8 = 2
    tensor = {"data_type": uint8, "dims": [-1, -1, 3]}
    samples = [
        {
            "name": f"{batch} of {height}x{width}x3",
            "batch_size": batch,
            "inputs": {"input": {"data_type": uint8, "dims": [height, width, 3], "random_data": True}},
        }
        for height, width in ((64, 48), (32, 40))
        for batch in (1, 4)
    ]
    assert config == pb(
        name="efdn_x4",
        backend="onnxruntime",
        default_model_filename="model.onnx",
        max_batch_size=4,
        input=[{"name": "input", **tensor}],
        output=[{"name": "output", **tensor}],
        instance_group=[{"count": 2, "kind": "KIND_CPU"}],
        dynamic_batching={},
        parameters={"intra_op_thread_count": {"string_value": "3"}},
        model_warmup=samples,
    )
    assert config.HasField("dynamic_batching")


def test_one_picture_at_a_time_needs_no_batcher() -> None:
    config = onnx_config(max_batch=1, warm_ups=((64, 48),))
    assert config.max_batch_size == 1
    assert not config.HasField("dynamic_batching")
    assert [sample.batch_size for sample in config.model_warmup] == [1]


def test_nothing_is_said_of_what_was_not_asked_for() -> None:
    config = onnx_config()
    assert not config.model_warmup
    assert not config.parameters
    assert config.instance_group[0].Kind.Name(config.instance_group[0].kind) == "KIND_AUTO"


def test_names_and_shapes_are_those_of_the_file() -> None:
    config = onnx_model(write_graph(("n", 24, "width", 3), TensorProto.FLOAT), "m", max_batch=2)
    assert config.inputs == (Tensor(name="input", data_type="TYPE_FP32", dims=(24, -1, 3)),)


def test_a_file_that_takes_no_batch_is_refused() -> None:
    with pytest.raises(ExportError, match=r"input has shape \[1, -1, -1, 3\]: Triton batches only where"):
        onnx_model(write_graph((1, *PICTURES[1:])), "m", max_batch=2)


def test_a_file_that_does_not_take_the_warm_up_is_refused() -> None:
    with pytest.raises(ExportError, match=r"input has shape \[24, -1, 3\]: expected pictures of any size"):
        onnx_model(write_graph(("n", 24, "width", 3)), "m", max_batch=2, warm_ups=((24, 24),))


def test_a_type_that_triton_is_not_told_of_here_is_refused() -> None:
    with pytest.raises(ExportError, match="input is of ONNX's type 7"):
        onnx_model(write_graph(kind=TensorProto.INT64), "m", max_batch=2)


def test_an_engine_of_one_picture_has_it_in_its_shape() -> None:
    config = parsed(str(engine_model(engine(fixed(64, 48)), "efdn_x4_trt", instances=2)))
    assert (config.backend, config.default_model_filename) == ("tensorrt", "model.plan")
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == [1, 64, 48, 3]
    assert list(config.output[0].dims) == [1, 256, 192, 3]
    (group,) = config.instance_group
    assert (group.count, group.Kind.Name(group.kind), list(group.profile)) == (2, "KIND_GPU", [])
    (sample,) = config.model_warmup
    assert sample.batch_size == 1
    assert list(sample.inputs["input"].dims) == [1, 64, 48, 3]


@pytest.mark.parametrize(
    ("shapes", "dims", "upscaled", "profiles"),
    [
        ((fixed(64, 48),), [64, 48, 3], [256, 192, 3], []),
        ((fixed(64, 48), fixed(64, 96)), [64, -1, 3], [256, -1, 3], ["0", "1"]),
        ((ShapeRange(min=(13, 48), opt=(64, 48), max=(128, 48)),), [-1, 48, 3], [-1, 192, 3], []),
    ],
)
def test_an_engine_is_batched_as_it_was_built(
    shapes: tuple[ShapeRange, ...], dims: list[int], upscaled: list[int], profiles: list[str]
) -> None:
    config = parsed(str(engine_model(engine(*shapes, batch=6), "m")))
    assert config.max_batch_size == 6
    assert config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == dims
    assert list(config.output[0].dims) == upscaled
    assert list(config.instance_group[0].profile) == profiles
    assert [(sample.batch_size, list(sample.inputs["input"].dims)) for sample in config.model_warmup] == [
        (6, [*shape.opt, 3]) for shape in shapes
    ]


def test_an_engine_of_several_shapes_and_one_picture_has_a_free_batch() -> None:
    config = engine_model(engine(fixed(64, 48), fixed(64, 96)), "m")
    assert config.max_batch == 1
    assert [warm_up.batch for warm_up in config.warm_ups] == [1, 1]


def test_an_engine_is_not_warmed_up_unless_asked_to() -> None:
    assert not engine_model(engine(fixed(64, 48)), "m", warm_up=False).warm_ups


@pytest.mark.parametrize("name", ["", "a b", "../up", ".hidden", "-option", "a/b", "größe", "a" * 101])
def test_a_name_that_is_no_folder_or_address_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a model's name has letters"):
        ModelConfig(name=name, backend="b", file="f", max_batch=1, inputs=(), outputs=())


@given(st.text())
def test_any_text_reads_back(text: str) -> None:
    assert parsed(str(Message(("name", text)))).name == text


@given(st.lists(st.integers(-1, 1 << 62)))
def test_any_numbers_read_back(numbers: list[int]) -> None:
    message = Message(("input", Message(("name", "x"), ("data_type", Symbol("TYPE_UINT8")), ("dims", numbers))))
    assert list(parsed(str(message)).input[0].dims) == numbers


def test_a_warm_up_says_what_it_is() -> None:
    tensor = Tensor(name="input", data_type="TYPE_UINT8", dims=(-1, -1, 3))
    assert 'name: "4 of 64x48x3"' in str(WarmUp(batch=4, dims=(64, 48, 3)).message(tensor))
