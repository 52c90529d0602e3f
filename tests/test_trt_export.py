"""TensorRT engines: real ones from TensorRT for RTX, which needs no GPU to build."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ConfigError, ExportError, MissingExtraError, OutputError
from efdn.passes.pipeline import deploy_network
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar
from efdn.weights import save_network
from export.artefacts import shape_range
from export.build_progress import PhaseTree, quiet
from export.built_engine import require_precision
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.options import EngineOptions
from export.plan import Kernel, Plan, PlanTensor, plan_from_build_log, plan_from_inspector
from export.precision import Precision
from export.trt_builders import (
    DEFAULT_RTX_TARGETS,
    RTX_TARGETS,
    BuildRequest,
    BuiltEngine,
    RtxBuilder,
    StandardBuilder,
)
from export.trt_export import ExportedEngine, export_engine, require_targets, require_typed
from tests.conftest import make_network

RTX_MASK_AT, RTX_MASKS = 32, {"sm75": 1, "sm80": 2, "sm86": 4, "sm89": 8, "sm120": 16, "sm121": 32}
"""Where an RTX engine's header keeps the GPUs it was built for, found by building for each."""


@pytest.fixture(scope="module")
def default_engine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportedEngine, list[float]]:
    """The engine that `efdn-export trt --fp16` builds, and the progress that was shown."""
    target, shown = tmp_path_factory.mktemp("engine") / "efdn.engine", []
    done = export_engine(
        DEFAULT_WEIGHTS,
        target,
        builder=RtxBuilder(),
        options=EngineOptions(),
        progress=lambda share, phase: shown.append(share),
    )
    return target, done, shown


@pytest.mark.tensorrt
def test_default_engine_is_real_half_precision_for_three_gpu_generations(
    default_engine: tuple[Path, ExportedEngine, list[float]],
) -> None:
    path, done, shown = default_engine
    sidecar = done.sidecar
    content = path.read_bytes()
    assert len(content) > 1_000_000
    (mask,) = struct.unpack_from("<I", content, RTX_MASK_AT)
    assert mask == sum(RTX_MASKS[target] for target in DEFAULT_RTX_TARGETS)
    assert sidecar.build is not None
    assert sidecar.build.gpu_targets == DEFAULT_RTX_TARGETS
    assert sidecar.build.half_share > 0.9
    assert sidecar.build.kernels == len(done.plan.kernels) <= 140
    assert sidecar.io == "uint8"
    assert read_sidecar(path) == sidecar
    assert sidecar.sha256 == hashlib.sha256(content).hexdigest()
    assert sidecar.parity["half arithmetic"]["grey_levels"] <= 1  # type: ignore[operator]
    assert shown[-1] == pytest.approx(1)
    assert shown == sorted(shown)


@pytest.mark.tensorrt
def test_dynamic_engine_of_another_scale_and_float32(tmp_path: Path) -> None:
    save_network(make_network(1, scale=2), tmp_path / "w.safetensors")
    shape = ShapeRange(min=(16, 16), opt=(32, 48), max=(64, 64))
    options = EngineOptions(precision=Precision.FP32, shapes=(shape,), io=IOFormat.FLOAT32)
    sidecar = export_engine(tmp_path / "w.safetensors", builder=RtxBuilder(("sm89",)), options=options).sidecar
    assert sidecar.file == "w_x2_16x16-32x48-64x64_fp32_float32_rtx_sm89.engine"
    assert sidecar.shapes == (shape,)
    assert sidecar.build is not None
    assert sidecar.build.half_share == 0
    assert sidecar.build.kernels > 0


@pytest.mark.tensorrt
def test_several_static_shapes_make_one_engine_of_as_many_profiles(tmp_path: Path) -> None:
    save_network(make_network(2), tmp_path / "w.safetensors")
    shapes = (shape_range((16, 16)), shape_range((20, 32)))
    options = EngineOptions(shapes=shapes)
    assert options.static_shape is None
    done = export_engine(
        tmp_path / "w.safetensors", builder=RtxBuilder(("sm86",)), options=options, plan=Path("plan.json")
    )
    assert done.sidecar.file == "w_x4_16x16_20x32_fp16_rtx_sm86.engine"
    assert done.sidecar.shapes == shapes
    assert done.sidecar.build is not None
    assert done.sidecar.build.bytes_moved is None
    assert done.plan.input_pixels is None
    assert json.loads(Path("plan.json").read_text())["totals"]["kernels"] == len(done.plan.kernels)
    assert "w_x4_16x16_20x32" in Path("plan.html").read_text()


@pytest.mark.tensorrt
def test_bfloat16_and_parts_kept_in_float32_are_in_the_plan(tmp_path: Path) -> None:
    save_network(make_network(2), tmp_path / "w.safetensors")
    options = EngineOptions(
        precision=Precision.BF16, shapes=(shape_range((16, 16)),), io=IOFormat.FLOAT32, keep_fp32=("tail",)
    )
    done = export_engine(tmp_path / "w.safetensors", builder=RtxBuilder(("sm86",)), options=options)
    types = {dtype for kernel in done.plan.kernels for dtype in kernel.output_types}
    assert "bfloat16" in types
    assert "half" not in types
    assert done.sidecar.keep_fp32 == ("tail",)
    tails = [kernel for kernel in done.plan.kernels if "tail/Conv" in kernel.layers]
    assert "float" in {tensor.dtype for kernel in tails for tensor in (*kernel.inputs, *kernel.outputs)}


def test_bfloat16_is_refused_for_gpus_that_lack_it() -> None:
    builder = FullPrecisionBuilder()
    require_targets(builder, Precision.BF16)
    builder.targets = ("sm75", "sm86")
    require_targets(builder, Precision.FP16)
    with pytest.raises(ExportError, match="bf16 needs sm80 or later, sm75 lacks it"):
        require_targets(builder, Precision.BF16)


def test_tensorrt_8_is_not_asked_for_what_its_flags_cannot_promise() -> None:
    builder = FullPrecisionBuilder()
    require_typed(builder, EngineOptions())
    for options in (EngineOptions(keep_fp32=("tail",)), EngineOptions(precision=Precision.BF16)):
        with pytest.raises(ExportError, match="needs TensorRT 10 or later"):
            require_typed(builder, options)
        builder.opset_limit = None
        require_typed(builder, options)
        builder.opset_limit = 17


def test_a_plan_is_refused_before_any_work_where_it_cannot_stand() -> None:
    Path("photo.png").write_text("dear")
    for plan, said in (
        ("photo.png", "ending in .json"),
        ("m.engine.json", "sidecar of"),
        ("no/p.json", "does not exist"),
    ):
        builder = FullPrecisionBuilder()
        with pytest.raises(OutputError, match=said):
            export_engine(target=Path("m.engine"), builder=builder, options=EngineOptions(), plan=Path(plan))
        assert builder.requests == []
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_ranges_and_static_shapes_do_not_mix() -> None:
    with pytest.raises(ConfigError, match="one range of shapes, or only static ones"):
        EngineOptions(shapes=(shape_range((16, 16)), ShapeRange(min=(16, 16), opt=(16, 16), max=(20, 20))))


def test_equal_shapes_and_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="shapes must differ, got 16x16, 16x16"):
        EngineOptions(shapes=(shape_range((16, 16)),) * 2)
    with pytest.raises(ConfigError, match="needs a shape"):
        EngineOptions(shapes=())


def request_for(graph: bytes, side: int) -> BuildRequest:
    return BuildRequest(graph=graph, precision=Precision.FP16, io=IOFormat.FLOAT32, shapes=(shape_range((side, side)),))


@pytest.mark.tensorrt
def test_a_graph_that_cannot_be_parsed_is_explained() -> None:
    request = request_for(b"nonsense", 64)
    with pytest.raises(ExportError, match="cannot parse the graph"):
        RtxBuilder().build(request, quiet)


@pytest.mark.tensorrt
def test_a_build_that_fails_is_explained() -> None:
    # A dynamic graph, for which a static shape brings no profile.
    model = write_onnx(deploy_network(make_network()), precision=Precision.FP16, opset=20)
    request = request_for(model.SerializeToString(), 16)
    with pytest.raises(ExportError, match=r"could not build the engine: .*profile"):
        RtxBuilder().build(request, quiet)


@pytest.mark.tensorrt
def test_targets_are_those_of_the_installed_version() -> None:
    import tensorrt_rtx

    real = {name.lower() for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")}
    assert set(RTX_TARGETS) == real == set(RTX_MASKS)


def test_an_architecture_that_rtx_lacks_is_refused() -> None:
    with pytest.raises(ExportError, match=r"does not build for sm90: expected some of sm75.*--runtime tensorrt"):
        RtxBuilder(("sm86", "sm90"))


def test_standard_tensorrt_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"needs tensorrt.*\.\[gpu\]"):
        StandardBuilder()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (ShapeRange(min=(12, 12), opt=(64, 64), max=(64, 64)), "at least 13x13, got 12x12"),
        (ShapeRange(min=(64, 64), opt=(32, 64), max=(64, 64)), "heights must satisfy min <= opt <= max"),
        (ShapeRange(min=(64, 64), opt=(64, 65), max=(64, 64)), "widths must satisfy min <= opt <= max"),
        (ShapeRange(min=(64, 64), opt=(64, 64), max=None), "needs a largest shape"),
    ],
)
def test_impossible_shapes_are_refused(shape: ShapeRange, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EngineOptions(shapes=(shape,))


def built(*types: str) -> BuiltEngine:
    outputs = [PlanTensor(name="output", shape=(1,), dtype=name) for name in types]
    kernels = tuple(Kernel(name=output.dtype, kind="kgen", outputs=(output,)) for output in outputs)
    return BuiltEngine(content=b"", plan=Plan(kernels=kernels), version="1", gpu_targets=(), seconds=0)


def test_half_precision_must_be_proved() -> None:
    require_precision(built("half", "float"), Precision.FP16)
    require_precision(built("float"), Precision.FP32)
    with pytest.raises(ExportError, match="none of the engine's 2 kernels"):
        require_precision(built("float", "float"), Precision.FP16)
    with pytest.raises(ExportError, match="listed no kernels"):
        require_precision(built(), Precision.FP16)


class FullPrecisionBuilder:
    """A builder that quietly ignores the precision."""

    runtime = "tensorrt"
    opset_limit: int | None = 17
    targets: tuple[str, ...] = ("sm90",)
    usual_targets = False

    def __init__(self) -> None:
        self.requests: list[BuildRequest] = []

    def build(self, request: BuildRequest, progress: Any) -> BuiltEngine:
        self.requests.append(request)
        return built("float")


def test_an_engine_that_is_secretly_float32_is_not_written() -> None:
    import onnx

    builder = FullPrecisionBuilder()
    with pytest.raises(ExportError, match="--fp16 was asked for"):
        export_engine(builder=builder, options=EngineOptions(shapes=(shape_range((16, 16)),)))
    assert list(Path().iterdir()) == []
    # TensorRT 8 reads no newer operator set.
    assert onnx.load_from_string(builder.requests[0].graph).opset_import[0].version == 17


LOG = [
    "Name: __myl_Cast_myl0_0, LayerType: kgen, Inputs: [ { Name: input, Dimensions: [1,3,256,256], Datatype: Float }], "
    "Constants: [], Outputs: [ { Name: a, Dimensions: [1,3,256,256], Strides: [1,2], Datatype: Half, Format: (NHWC) "
    "Channel major format }], TacticName: __myl_Cast, StreamId: 0, Metadata: [ONNX Layer: Cast]",
    "Name: wait_1, LayerType: wait, Inputs: [], Outputs: [], TacticName: , StreamId: 0, Metadata: ",
    "Name: tail, LayerType: correlation, Inputs: [ { Name: a, Datatype: Half }], Constants: [ { Name: w, Datatype: "
    "Half }], Outputs: [ { Name: output, Dimensions: [1,3,1024,1024], Datatype: Float }], TacticName: x, StreamId: 0",
    "Registering layer: Name of something else",
]


def test_plan_is_read_from_the_build_log() -> None:
    plan = plan_from_build_log(LOG)
    assert [(kernel.kind, kernel.output_types) for kernel in plan.kernels] == [
        ("kgen", ("half",)),
        ("correlation", ("float",)),
    ]
    assert plan.half_share == 0.5
    assert plan_from_build_log([]).half_share == 0


def test_plan_is_read_from_either_form_of_the_inspector() -> None:
    before_10 = {"Name": "a", "LayerType": "Conv", "Outputs": [{"Format/Datatype": "Row major linear FP16 format"}]}
    half = {"Name": "a", "LayerType": "Conv", "Outputs": [{"Format/Datatype": "Half"}]}
    full = {"Name": "b", "LayerType": "Conv", "Outputs": [{"Format/Datatype": "Float"}]}
    assert plan_from_inspector(json.dumps({"Layers": [before_10]})).half_share == 1
    assert plan_from_inspector(json.dumps({"Layers": [half, full], "Bindings": []})).half_share == 0.5
    # Names only: built without detailed verbosity, so nothing is proved.
    assert plan_from_inspector('{"Layers": ["a", "b"]}').kernels == ()


def test_progress_follows_nested_phases_and_never_goes_back() -> None:
    shown: list[tuple[float, str]] = []
    tree = PhaseTree(lambda share, phase: shown.append((round(share, 3), phase)))
    tree.start("all", None, 2)
    tree.start("first", "all", 4)
    tree.step("first", 1)
    tree.finish("first")
    tree.step("all", 0)
    tree.start("second", "all", 0)
    tree.finish("second")
    tree.finish("all")
    shares = [share for share, _ in shown]
    assert shares == [0, 0, 0.25, 0.5, 0.5, 0.5, 1, 1]
    assert shown[2] == (0.25, "first")
