"""A model repository is written whole or not at all, and says how it is served."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import cli.export
from efdn.errors import ConfigError, ParityError
from efdn.files import sha256_of_bytes, sha256_of_file
from efdn.sidecar import read_sidecar, sidecar_path, write_sidecar
from efdn.weights import save_network
from export.precision import Precision
from export.triton import repository
from export.triton.folder import MARKER, files_in
from export.triton.models import onnx_tensors
from export.triton.repository import RepositoryOptions, export_repository
from tests.conftest import make_network
from tests.inference_samples import fixed
from tests.test_imports import imported, run_without_heavy
from tests.test_sidecar import make_sidecar
from tests.triton_samples import parsed

WEIGHTS, ENGINE, MODELS = Path("w.safetensors"), Path("my.engine"), Path("models")
FAST = RepositoryOptions(warm_ups=())


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _weights() -> None:
    save_network(make_network(), WEIGHTS)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `efdn-export triton` in this process."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["efdn-export", "triton", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.export.entry()
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, *capsys.readouterr())

    return call


def write_engine(**changes: object) -> Path:
    """A file with the sidecar of a standard TensorRT engine of the weights."""
    ENGINE.write_bytes(b"an engine")
    sidecar = make_sidecar(
        file=ENGINE.name,
        sha256=sha256_of_bytes(b"an engine"),
        io="uint8",
        shapes=(fixed(64, 48),),
        weights_sha256=sha256_of_file(WEIGHTS),
    )
    assert sidecar.build is not None
    build = replace(sidecar.build, runtime="tensorrt", tensorrt_version="10.3.0")
    write_sidecar(sidecar_path(ENGINE), replace(sidecar, **{"build": build, **changes}))  # type: ignore[arg-type]
    return ENGINE


def test_a_repository_has_the_layout_that_triton_expects_and_the_printed_end_tells_it(command: Command) -> None:
    result = command(MODELS, "-w", WEIGHTS, "--engine", write_engine(), "--max-batch", 2, "--warm-up", "32x40")
    assert result.code == 0, result.err
    assert files_in(MODELS) == [
        "efdn_x4/1/model.onnx",
        "efdn_x4/1/model.onnx.json",
        "efdn_x4/config.pbtxt",
        "efdn_x4_trt/1/model.plan",
        "efdn_x4_trt/1/model.plan.json",
        "efdn_x4_trt/config.pbtxt",
    ]
    assert json.loads((MODELS / MARKER).read_text())["files"] == files_in(MODELS)
    for name in ("efdn_x4", "efdn_x4_trt"):
        assert parsed((MODELS / name / "config.pbtxt").read_text()).name == name
    assert f"-v {MODELS.resolve()}:/models:ro" in result.out
    assert "tritonserver --model-repository=/models" in result.out
    assert "--gpus all" in result.out
    assert "then: python examples/triton_client.py photo.png photo_x4.png --model efdn_x4_trt" in result.out
    assert "efdn_x4: batches of up to 2, 1 instance, KIND_AUTO" in result.out
    assert "efdn_x4_trt: one picture at a time, 1 instance, KIND_GPU" in result.out
    assert "TensorRT 10.3.0 in the server, and a GPU: sm86, sm89" in result.out


def test_the_configuration_is_that_of_the_onnx_file_beside_it() -> None:
    (model,) = export_repository(MODELS, WEIGHTS, options=FAST)
    config = parsed((MODELS / "efdn_x4" / "config.pbtxt").read_text())
    for told, own in zip((config.input, config.output), onnx_tensors(model.path), strict=True):
        assert [(tensor.name, [-1, *tensor.dims]) for tensor in told] == [(one.name, list(one.dims)) for one in own]
        assert [one.data_type for one in own] == ["TYPE_UINT8"]


def test_what_lies_in_a_repository_is_described_and_is_what_was_given() -> None:
    models = export_repository(MODELS, WEIGHTS, options=FAST, engine=write_engine())
    assert [model.path for model in models] == [MODELS / "efdn_x4/1/model.onnx", MODELS / "efdn_x4_trt/1/model.plan"]
    for model in models:
        sidecar = read_sidecar(model.path)
        assert sidecar == model.sidecar
        assert (sidecar.file, sidecar.sha256) == (model.path.name, sha256_of_file(model.path))
    assert "onnxruntime" in models[0].sidecar.parity
    assert models[1].path.read_bytes() == ENGINE.read_bytes()


def test_options_reach_the_configuration(command: Command) -> None:
    options = ("--name", "photos", "--cpu", "--instances", 2, "--threads", 1, "--max-batch", 1, "--warm-up", "none")
    result = command(MODELS, "-w", WEIGHTS, *options)
    assert result.code == 0, result.err
    config = parsed((MODELS / "photos" / "config.pbtxt").read_text())
    (group,) = config.instance_group
    assert (group.count, group.Kind.Name(group.kind)) == (2, "KIND_CPU")
    assert config.parameters["intra_op_thread_count"].string_value == "1"
    assert config.max_batch_size == 1
    assert not config.model_warmup
    assert "--gpus all" not in result.out


def test_half_precision_is_inside_and_bytes_outside() -> None:
    (model,) = export_repository(MODELS, WEIGHTS, options=replace(FAST, precision=Precision.FP16))
    assert model.sidecar.precision == "fp16"
    assert model.config.inputs[0].data_type == "TYPE_UINT8"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"build": make_sidecar().build}, "my.engine is of TensorRT for RTX, which Triton does not run: build it with"),
        ({"io": "float32"}, "my.engine takes float32, expected 8-bit pictures: build it with --io uint8"),
        ({"weights_sha256": "3" * 64}, "my.engine was built from other weights (w.safetensors): give them with"),
        ({"sha256": "4" * 64}, "my.engine is not the file its sidecar describes"),
        ({"build": None, "kind": "onnx"}, "the sidecar of my.engine does not describe a TensorRT engine"),
    ],
)
def test_an_engine_that_triton_could_not_serve_is_refused(
    changes: dict[str, object], message: str, command: Command
) -> None:
    result = command(MODELS, "-w", WEIGHTS, "--engine", write_engine(**changes))
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not MODELS.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-batch", 0), "the largest batch must be 1 to 64 pictures, got 0"),
        (("--instances", 0), "instances must be 1 to 1024, got 0"),
        (("--threads", 0), "threads must be 1 to 1024, got 0"),
        (("--warm-up", "8x8"), "shapes must be at least 13x13, got 8x8"),
        (("--warm-up", "none", "--warm-up", "64x64"), "--warm-up takes HEIGHTxWIDTH such as 256x256, got 'none'"),
        (("--name", "a/b"), "a model's name has letters"),
    ],
)
def test_options_out_of_range_are_refused_before_any_work(
    arguments: tuple[object, ...], message: str, command: Command
) -> None:
    result = command(MODELS, "-w", WEIGHTS, *arguments)
    assert result.code in (1, 2)
    assert message in result.err
    assert "folding" not in result.err
    assert not MODELS.exists()


def test_bfloat16_is_refused() -> None:
    with pytest.raises(ConfigError, match="a model repository holds fp32 or fp16"):
        RepositoryOptions(precision=Precision.BF16)


def test_a_failed_export_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ParityError("too far off")

    monkeypatch.setattr(repository, "export_onnx", fail)
    with pytest.raises(ParityError):
        export_repository(MODELS, WEIGHTS, options=FAST)
    assert sorted(path.name for path in Path().iterdir()) == [WEIGHTS.name]


def test_help_needs_nothing_heavy() -> None:
    result = run_without_heavy("cli.export", "triton", "--help")
    assert result.returncode == 0
    assert not imported(result) & {"numpy", "google", "grpc", "tritonclient"}
