"""What a profile is to run, from what is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EngineError, UsageError
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar, sidecar_path, write_sidecar
from engines.profiling import plan as plan_module
from engines.profiling.plan import plan_shapes, plan_subjects


@pytest.fixture
def with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "find_spec", lambda name: object())


def engine_file(name: str, *sides: tuple[int, int], weights_sha256: str | None = None) -> Path:
    """An engine file as far as its sidecar goes."""
    path = Path(name)
    path.write_bytes(b"engine")
    sidecar = read_sidecar(DEFAULT_ONNX)
    shapes = tuple(ShapeRange(min=side, opt=side, max=side) for side in sides)
    sha256 = weights_sha256 or sidecar.weights_sha256
    write_sidecar(sidecar_path(path), replace(sidecar, kind="engine", shapes=shapes, weights_sha256=sha256))
    return path


def names(*arguments: object, **options: object) -> list[str]:
    return [entry.name for entry in plan_subjects(*arguments, **options)]  # type: ignore[arg-type]


@pytest.mark.usefixtures("with_torch")
def test_without_models_engines_run_the_packaged_one_beside_the_published_form() -> None:
    assert names([], []) == ["pytorch-published", "auto"]
    assert names([], ["onnxruntime-cpu", "pytorch", "pytorch"]) == ["pytorch-published", "onnxruntime-cpu", "pytorch"]
    assert names([], ["pytorch", "pytorch-published"]) == ["pytorch-published", "pytorch"]
    assert names([], ["pytorch"], default_baseline=False) == ["pytorch"]
    assert names([], ["pytorch"], baseline="onnxruntime-cpu") == ["onnxruntime-cpu", "pytorch"]
    assert [entry.baseline for entry in plan_subjects([], ["pytorch", "auto"], baseline="pytorch")] == [True, False]


@pytest.mark.usefixtures("with_torch")
def test_every_engine_runs_every_model_of_its_kind() -> None:
    weights = Path("w.safetensors")
    weights.write_bytes(DEFAULT_WEIGHTS.read_bytes())
    found = plan_subjects([DEFAULT_ONNX, weights, DEFAULT_WEIGHTS], ["onnxruntime-cpu", "pytorch"])
    assert [(entry.subject.engine, entry.subject.model) for entry in found] == [
        ("pytorch-published", weights),
        ("onnxruntime-cpu", DEFAULT_ONNX),
        ("pytorch", weights),
        ("pytorch", DEFAULT_WEIGHTS),
    ]
    assert found[1].name == f"onnxruntime-cpu {DEFAULT_ONNX.name}"


@pytest.mark.usefixtures("with_torch")
def test_the_published_form_joins_only_where_it_runs_the_same_weights() -> None:
    ours, foreign = engine_file("a.engine", (16, 16)), engine_file("b.engine", (16, 16), weights_sha256="0" * 64)
    assert names([ours], []) == ["pytorch-published", "tensorrt"]
    assert names([foreign], []) == ["tensorrt"]
    assert names([ours, foreign], []) == ["tensorrt a.engine", "tensorrt b.engine"]
    assert names([foreign], [], baseline="pytorch-published")[0] == "pytorch-published"
    sidecar_path(ours).unlink()
    assert names([ours], []) == ["tensorrt"]


def test_without_pytorch_there_is_no_default_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "find_spec", lambda name: None)
    assert names([], ["onnxruntime-cpu"]) == ["onnxruntime-cpu"]


def test_cuda_graphs_on_and_off_are_two_subjects_of_an_engine_file_alone() -> None:
    path = engine_file("a.engine", (16, 16))
    found = plan_subjects([path, DEFAULT_ONNX], [], graphs=(True, False), threads=1, default_baseline=False)
    assert [(entry.name, entry.subject.options.cuda_graph) for entry in found] == [
        ("tensorrt a.engine", True),
        ("tensorrt a.engine, no graph", False),
        (f"auto {DEFAULT_ONNX.name}", True),
    ]
    assert {entry.subject.options.threads for entry in found} == {1}


def test_shapes_are_those_asked_for_or_those_that_engines_have() -> None:
    fixed = plan_subjects([engine_file("a.engine", (16, 20), (64, 64))], [])
    both = plan_subjects([engine_file("a.engine", (16, 20)), DEFAULT_ONNX], [])
    assert plan_shapes(plan_subjects([], []), []) == ((256, 256),)
    assert plan_shapes(fixed, []) == ((16, 20), (64, 64))
    assert plan_shapes(both, []) == ((16, 20), (256, 256))
    assert plan_shapes(both, [(300, 13), (20, 20), (20, 20)]) == ((20, 20), (300, 13))
    engine = next(entry for entry in both if entry.subject.model == Path("a.engine"))
    assert engine.takes((16, 20))
    assert not engine.takes((256, 256))


@pytest.mark.parametrize(
    ("models", "engines", "baseline", "said"),
    [
        ([], ["warp"], None, "no engine 'warp'"),
        ([], ["tensorrt"], None, "engine tensorrt needs an engine file"),
        ([], [], "tensorrt", "baseline tensorrt needs an engine file"),
        ([DEFAULT_ONNX], ["pytorch"], None, "none of the engines given reads .*onnx, which is ONNX"),
        ([DEFAULT_ONNX], ["onnxruntime-cpu", "pytorch"], None, "engine pytorch reads weights files, and none"),
    ],
)
def test_plans_that_cannot_be_are_explained(
    models: list[Path], engines: list[str], baseline: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan_subjects(models, engines, baseline=baseline)


def test_a_model_that_is_missing_is_an_error() -> None:
    with pytest.raises(EngineError, match="no model file"):
        plan_subjects([Path("none.onnx")], [])
