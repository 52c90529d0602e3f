"""One contract for every engine that this machine can run, and for a fake."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EfdnError, EngineError, MissingExtraError, ModelFileError, ShapeError, UsageError
from efdn.extras import import_extra
from efdn.weights import load_network
from engines import ort, registry, select
from engines.options import RunOptions
from engines.ort import CPU, OnnxRuntimeEngine, open_cpu
from engines.protocol import Arrays, Dim, Engine, ModelInfo, TensorSpec, shapes_of
from engines.pytorch import open_pytorch
from engines.select import choose_engine
from engines.timing import time_interleaved
from engines.upscale import pad_to_minimum, to_network, to_pixels, upscale
from tests.conftest import noise


class NearestNeighbour(Engine):
    """A fake that repeats pixels, so that results can be worked out by hand."""

    def __init__(self, scale: int = 4, data_range: float = 255.0, largest: int | None = None) -> None:
        side, upscaled = Dim(13, largest), Dim(13 * scale, None if largest is None else scale * largest)
        self.name, self.detail = "fake", "repeats pixels"
        self.model = ModelInfo(name="nearest", scale=scale, data_range=data_range)
        self.inputs = (TensorSpec(name="x", dtype="float32", dims=(Dim(1, 1), Dim(3, 3), side, side)),)
        self.outputs = (TensorSpec(name="y", dtype="float32", dims=(Dim(1, 1), Dim(3, 3), upscaled, upscaled)),)
        self.shapes = shapes_of(self.inputs[0])
        self.corrupt: Callable[[np.ndarray], np.ndarray] = lambda y: y

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        scale = self.model.scale
        return {"y": self.corrupt(feeds["x"].repeat(scale, axis=2).repeat(scale, axis=3))}


OPENERS: dict[str, Callable[[], Engine]] = {
    "fake": NearestNeighbour,
    "onnxruntime-cpu": lambda: open_cpu(DEFAULT_ONNX),
    "pytorch": lambda: open_pytorch(DEFAULT_WEIGHTS),
    "onnxruntime-cuda": lambda: ort.open_cuda(DEFAULT_ONNX),
}


@pytest.fixture(params=[*list(OPENERS)[:3], pytest.param("onnxruntime-cuda", marks=pytest.mark.gpu)])
def engine(request: pytest.FixtureRequest) -> Any:
    with OPENERS[request.param]() as opened:
        assert opened.name == request.param
        yield opened


def feed(engine: Engine, height: int, width: int, seed: int = 0) -> dict[str, np.ndarray]:
    return {engine.inputs[0].name: to_network(noise(height, width, seed), engine.model.data_range)}


def test_output_has_the_promised_name_type_and_shape(engine: Engine) -> None:
    result = engine.infer(feed(engine, 15, 22))
    assert list(result) == [spec.name for spec in engine.outputs]
    (output,) = result.values()
    assert output.dtype == engine.outputs[0].dtype
    assert output.shape == (1, 3, 15 * engine.model.scale, 22 * engine.model.scale)
    for dim, size in zip(engine.outputs[0].dims, output.shape, strict=True):
        assert dim.accepts(size)


def test_results_are_repeatable_and_owned_by_the_caller(engine: Engine) -> None:
    feeds = feed(engine, 16, 16)
    before = {name: value.copy() for name, value in feeds.items()}
    (first,) = engine.infer(feeds).values()
    kept = first.copy()
    engine.infer(feed(engine, 16, 16, seed=1))
    (again,) = engine.infer(feeds).values()
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(again, kept)
    for name, value in feeds.items():
        np.testing.assert_array_equal(value, before[name])


def test_closing_twice_is_allowed(engine: Engine) -> None:
    engine.close()
    engine.close()


@pytest.mark.parametrize(
    "name", ["onnxruntime-cpu", pytest.param("onnxruntime-cuda", marks=pytest.mark.gpu), "pytorch"]
)
def test_engines_agree_with_the_training_form(name: str) -> None:
    x = to_network(noise(24, 31), 255)
    with OPENERS[name]() as engine, torch.inference_mode():
        (output,) = engine.infer({engine.inputs[0].name: x}).values()
        expected = load_network(DEFAULT_WEIGHTS)(torch.tensor(x)).numpy()
    # 1e-4 of the 0..255 range.
    np.testing.assert_allclose(output, expected, rtol=0, atol=0.0255)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (12, 13), (13, 12), (13, 13), (14, 30)])
def test_any_size_is_upscaled(height: int, width: int) -> None:
    pixels = noise(height, width)
    result = upscale(NearestNeighbour(), pixels)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, pixels.repeat(4, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_data_range_of_the_model_is_respected(data_range: float) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(upscale(NearestNeighbour(1, data_range), pixels), pixels)


def test_small_pictures_are_mirrored() -> None:
    padded = pad_to_minimum(noise(5, 20))
    assert padded.shape == (13, 20, 3)
    np.testing.assert_array_equal(padded[5:10], padded[:5][::-1])
    large = noise(13, 13)
    assert pad_to_minimum(large) is large


def test_rounding_is_to_nearest_and_clipped() -> None:
    values = np.array([-300.0, -0.4, 0.49, 0.51, 254.6, 255.4, 900.0, 128.0, 3.2], np.float32)
    y = values.reshape(1, 1, 3, 3).repeat(3, axis=1)
    assert to_pixels(y, 255)[..., 0].ravel().tolist() == [0, 0, 0, 1, 255, 255, 255, 128, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_output_that_is_not_finite_is_an_error_not_a_black_picture(bad: float) -> None:
    engine = NearestNeighbour()
    engine.corrupt = lambda y: np.where(y == y.max(), np.float32(bad), y)
    with pytest.raises(EngineError, match="not finite"):
        upscale(engine, noise(13, 13))


def test_a_shape_outside_the_profile_says_both_sides() -> None:
    with pytest.raises(ShapeError, match=r"13\.\.16x13\.\.16.*17x13"):
        upscale(NearestNeighbour(largest=16), noise(17, 13))


def test_broken_and_foreign_onnx_files_are_explained(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"cannot load m\.onnx"):
        open_cpu(tmp_path / "m.onnx")
    (tmp_path / "cut.onnx").write_bytes(DEFAULT_ONNX.read_bytes()[:5000])
    with pytest.raises(EngineError):
        open_cpu(tmp_path / "cut.onnx")


def test_a_broken_model_is_not_blamed_on_the_engines(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"^ONNX Runtime cannot load m\.onnx"):
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


def test_a_shape_that_onnx_runtime_refuses_is_a_shape_error() -> None:
    with open_cpu(DEFAULT_ONNX) as engine, pytest.raises(ShapeError, match="does not take"):
        engine.infer({"input": np.zeros((1, 4, 20, 20), np.float32)})


class SilentFallback:
    """An ONNX Runtime that takes any provider and runs on the CPU."""

    __version__ = "0"

    class SessionOptions:
        pass

    class InferenceSession:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return [CPU]

    @staticmethod
    def get_available_providers() -> list[str]:
        return [ort.CUDA, CPU]


def test_a_silent_fall_back_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "_onnxruntime", lambda extra: SilentFallback)
    with pytest.raises(EngineError, match="fell back to CPUExecutionProvider although CUDA"):
        ort.open_cuda(DEFAULT_ONNX)


def test_automatic_choice_passes_over_with_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cuda(model: Path, options: RunOptions) -> Engine:
        raise EngineError("there is no CUDA: buy some")

    monkeypatch.setattr(ort, "open_cuda", no_cuda)
    choice = choose_engine()
    with choice.engine as engine:
        assert engine.name == "onnxruntime-cpu"
        assert engine.model.name == DEFAULT_ONNX.name
    assert choice.passed_over == ("onnxruntime-cuda (there is no CUDA)",)


def test_without_onnx_runtime_the_packaged_weights_run_on_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(model: Path, options: RunOptions) -> Engine:
        raise MissingExtraError("onnxruntime", "cpu", "This engine")

    monkeypatch.setattr(ort, "open_cuda", missing)
    monkeypatch.setattr(ort, "open_cpu", missing)
    with choose_engine().engine as engine:
        assert engine.name == "pytorch"


def test_with_nothing_installed_the_error_names_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: registry.EngineEntry, model: Path, options: RunOptions) -> Engine:
        raise MissingExtraError("something", "cpu", "This engine")

    monkeypatch.setattr(registry.EngineEntry, "open", missing)
    with pytest.raises(EngineError, match=r"onnxruntime-cuda.*onnxruntime-cpu.*pytorch"):
        choose_engine()


def test_the_kind_of_model_decides_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cuda(model: Path, options: RunOptions) -> Engine:
        raise EngineError("there is no CUDA: buy some")

    monkeypatch.setattr(ort, "open_cuda", no_cuda)
    for model, name in ((DEFAULT_WEIGHTS, "pytorch"), (DEFAULT_ONNX, "onnxruntime-cpu")):
        with choose_engine(model).engine as engine:
            assert engine.name == name


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        (None, "tensorrt", "efdn-export trt"),
        (None, "warp", "no engine 'warp': expected auto, tensorrt"),
        (DEFAULT_WEIGHTS, "onnxruntime-cpu", "efdn-export onnx --weights"),
        (DEFAULT_ONNX, "pytorch", "use --engine onnxruntime-cuda, onnxruntime-cpu"),
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


def test_timing_takes_turns_and_keeps_raw_times() -> None:
    order: list[str] = []
    timings = time_interleaved({name: lambda name=name: order.append(name) for name in "ab"}, rounds=3, warm_up=1)  # type: ignore[misc]
    assert order == list("abababab")
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3]
    assert timings["a"].speed_up_over(timings["a"]) == 1
