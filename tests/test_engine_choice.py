"""Which engine is chosen, and what is said where none can be."""

from pathlib import Path

import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EfdnError, EngineError, MissingExtraError, ModelFileError, UsageError
from efdn.extras import import_extra
from engines import openvino, ort, registry, select
from engines.options import RunOptions
from engines.ort import CPU, OnnxRuntimeEngine, open_cpu
from engines.protocol import Engine
from engines.select import choose_engine
from tests.fake_engine import NearestNeighbour


def fake_openvino(model: Path, options: RunOptions) -> Engine:
    """Stands in for OpenVINO, which need not be installed, where only the order of engines is meant."""
    engine = NearestNeighbour()
    engine.name, engine.detail = "openvino", str(model)
    return engine


def test_broken_and_foreign_onnx_files_are_explained(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"cannot load m\.onnx"):
        open_cpu(tmp_path / "m.onnx")
    (tmp_path / "cut.onnx").write_bytes(DEFAULT_ONNX.read_bytes()[:5000])
    with pytest.raises(EngineError):
        open_cpu(tmp_path / "cut.onnx")


def test_a_broken_model_is_not_blamed_on_the_engines(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(
        ModelFileError, match=r"^(m\.onnx is not a readable ONNX file|ONNX Runtime cannot load m\.onnx)"
    ):
        choose_engine(tmp_path / "m.onnx")


def test_a_package_that_does_not_load_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "without_library.py").write_text("raise ImportError('libnvinfer.so: cannot open shared object file')")
    (tmp_path / "without_dll.py").write_text("raise FileNotFoundError('nvinfer.dll')")
    (tmp_path / "without_need.py").write_text("import no_such_package")
    for name, said in (("without_library", "libnvinfer"), ("without_dll", "nvinfer.dll"), ("without_need", "no_such")):
        with pytest.raises(EngineError, match=f"{name} is installed but does not load.*{said}"):
            import_extra(name, "gpu", "This")
    with pytest.raises(MissingExtraError, match="This needs no_such_module"):
        import_extra("no_such_module.part", "gpu", "This")


def test_an_onnx_file_of_others_is_not_guessed_at() -> None:
    import onnx

    model = onnx.load(DEFAULT_ONNX)
    del model.metadata_props[:]
    with pytest.raises(EngineError, match="scale and data range"):
        OnnxRuntimeEngine("onnxruntime-cpu", model.SerializeToString(), "other.onnx", (CPU,))


def test_automatic_choice_passes_over_with_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cuda(model: Path, options: RunOptions) -> Engine:
        raise EngineError("there is no CUDA: buy some")

    monkeypatch.setattr(ort, "open_cuda", no_cuda)
    monkeypatch.setattr(openvino, "open_openvino", fake_openvino)
    choice = choose_engine()
    with choice.engine as engine:
        assert engine.name == "openvino"
        assert engine.detail == str(DEFAULT_ONNX)
    assert choice.passed_over == ("onnxruntime-cuda (there is no CUDA)",)


def test_a_graph_that_openvino_does_not_take_runs_on_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: Path, options: RunOptions) -> Engine:
        raise EngineError("OpenVINO cannot load it: no such operator")

    monkeypatch.setattr(openvino, "open_openvino", refuse)
    choice = choose_engine()
    with choice.engine as engine:
        assert engine.name == "onnxruntime-cpu"
    assert choice.passed_over[-1] == "openvino (OpenVINO cannot load it)"


def test_without_onnx_runtime_and_openvino_the_packaged_weights_run_on_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(model: Path, options: RunOptions) -> Engine:
        raise MissingExtraError("onnxruntime", "cpu", "This engine")

    monkeypatch.setattr(ort, "open_cuda", missing)
    monkeypatch.setattr(ort, "open_cpu", missing)
    monkeypatch.setattr(openvino, "open_openvino", missing)
    with choose_engine().engine as engine:
        assert engine.name == "pytorch"


def test_with_nothing_installed_the_error_names_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: registry.EngineEntry, model: Path, options: RunOptions) -> Engine:
        raise MissingExtraError("something", "cpu", "This engine")

    monkeypatch.setattr(registry.EngineEntry, "open", missing)
    with pytest.raises(EngineError, match=r"onnxruntime-cuda.*openvino.*onnxruntime-cpu.*pytorch"):
        choose_engine()


def test_the_kind_of_model_decides_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cuda(model: Path, options: RunOptions) -> Engine:
        raise EngineError("there is no CUDA: buy some")

    monkeypatch.setattr(ort, "open_cuda", no_cuda)
    monkeypatch.setattr(openvino, "open_openvino", fake_openvino)
    for model, name in ((DEFAULT_WEIGHTS, "pytorch"), (DEFAULT_ONNX, "openvino")):
        with choose_engine(model).engine as engine:
            assert engine.name == name


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        (None, "tensorrt", "efdn-export trt"),
        (None, "warp", "no engine 'warp': expected auto, tensorrt"),
        (DEFAULT_WEIGHTS, "onnxruntime-cpu", "efdn-export onnx --weights"),
        (DEFAULT_ONNX, "pytorch", "use --engine onnxruntime-cuda, openvino, onnxruntime-cpu"),
        (Path("none.onnx"), "auto", "no model file"),
        (Path(), "auto", "is a folder"),
        (Path(__file__), "auto", "cannot tell what"),
    ],
)
def test_choices_that_cannot_be_are_explained(model: Path | None, name: str, said: str) -> None:
    with pytest.raises(EfdnError) as caught:
        choose_engine(model, name)
    assert said in str(caught.value)
    assert isinstance(caught.value, UsageError if name == "warp" else EngineError)


def test_an_engine_asked_for_never_becomes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cuda(model: Path, options: RunOptions) -> Engine:
        raise EngineError("there is no CUDA: buy some")

    monkeypatch.setattr(ort, "open_cuda", no_cuda)
    with pytest.raises(EngineError, match="buy some"):
        choose_engine(name="onnxruntime-cuda")


def test_every_engine_has_a_packaged_model_or_is_given_one() -> None:
    assert {entry.reads for entry in registry.ENGINES} == set(registry.ModelKind)
    assert all(path.exists() for path in select.PACKAGED.values())
