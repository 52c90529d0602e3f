"""One contract for every engine that this machine can run, and for a fake."""

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EfdnError, EngineError, MissingExtraError, ModelFileError, ShapeError, UsageError
from efdn.extras import import_extra
from efdn.passes.pipeline import deploy_network
from efdn.weights import load_network
from engines import openvino, ort, registry, select
from engines.feeds import check_feeds
from engines.openvino import OpenVinoEngine, open_openvino
from engines.options import RunOptions
from engines.ort import CPU, CUDA, OnnxRuntimeEngine, open_cpu, open_cuda, open_tensorrt
from engines.protocol import Arrays, Dim, Engine, ModelInfo, StagedEngine, TensorSpec, shapes_of
from engines.pytorch import PyTorchEngine, open_pytorch
from engines.select import choose_engine
from engines.timing import time_interleaved
from engines.upscale import pad_to_minimum, to_network, to_pixels, upscale
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.precision import Precision
from tests.conftest import installed, make_network, noise
from tests.fake_onnxruntime import FakeOnnxRuntime


class NearestNeighbour(Engine):
    """A fake that repeats pixels, so that results can be worked out by hand."""

    def __init__(self, scale: int = 4, data_range: float = 255.0, largest: int | None = None) -> None:
        side, upscaled = Dim(13, largest), Dim(13 * scale, None if largest is None else scale * largest)
        batch = Dim(1, None)
        self.name, self.detail = "fake", "repeats pixels"
        self.model = ModelInfo(name="nearest", scale=scale, data_range=data_range)
        self.inputs = (TensorSpec(name="x", dtype="float32", dims=(batch, Dim(3, 3), side, side)),)
        self.outputs = (TensorSpec(name="y", dtype="float32", dims=(batch, Dim(3, 3), upscaled, upscaled)),)
        self.shapes = shapes_of(self.inputs[0])
        self.corrupt: Callable[[np.ndarray], np.ndarray] = lambda y: y
        self.closed = False

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        if self.closed:
            raise EngineError("nearest is closed: open it again")
        check_feeds("nearest", self.inputs, feeds)
        scale = self.model.scale
        return {"y": self.corrupt(feeds["x"].repeat(scale, axis=2).repeat(scale, axis=3))}

    def close(self) -> None:
        self.closed = True


def small_picture_graph() -> bytes:
    """A small network between 8-bit pictures, as an ONNX file."""
    metadata = {"scale": "4", "data_range": "255"}
    network = deploy_network(make_network())
    graph = write_onnx(network, precision=Precision.FP32, opset=20, io=IOFormat.UINT8, metadata=metadata)
    return bytes(graph.SerializeToString())


def open_on_fake_gpu(folder: Path) -> Engine:
    """ONNX Runtime's CUDA engine on a fake ONNX Runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", FakeOnnxRuntime(CUDA, CPU))
        return open_cuda(DEFAULT_ONNX)


ONE_THREAD = RunOptions(threads=1)

OPENERS: dict[str, Callable[[Path], Engine]] = {
    "fake": lambda folder: NearestNeighbour(),
    "onnxruntime-cuda on a fake": open_on_fake_gpu,
    "onnxruntime-cpu": lambda folder: open_cpu(DEFAULT_ONNX, ONE_THREAD),
    "onnxruntime-cpu, pictures": lambda folder: OnnxRuntimeEngine(
        "onnxruntime-cpu", small_picture_graph(), "pictures", (CPU,), ONE_THREAD
    ),
    "openvino": lambda folder: open_openvino(DEFAULT_ONNX, ONE_THREAD),
    "openvino, pictures": lambda folder: OpenVinoEngine(small_picture_graph(), "pictures", ONE_THREAD),
    "pytorch": lambda folder: open_pytorch(DEFAULT_WEIGHTS),
    "onnxruntime-cuda": lambda folder: open_cuda(DEFAULT_ONNX),
    "onnxruntime-tensorrt": lambda folder: open_tensorrt(DEFAULT_ONNX, RunOptions(cache_dir=folder)),
}
"""Each with a folder to keep things in."""

ON_A_GPU = ("onnxruntime-cuda", "onnxruntime-tensorrt")

TELL_LAYERS = ("onnxruntime-cpu", "openvino", "pytorch")


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    needs = {"openvino": "openvino", "onnxruntime-tensorrt": "tensorrt"}.get(name.split(",")[0])
    missing = needs is not None and not installed(needs)
    marks = [pytest.mark.skipif(missing, reason=f"{needs} is not installed")] if needs else []
    return [*marks, pytest.mark.gpu] if name in ON_A_GPU else marks


def each(*names: str) -> list[Any]:
    return [pytest.param(name, marks=marks_of(name)) for name in names]


@pytest.fixture(params=each(*OPENERS), scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Every engine, opened once for all tests that leave it open."""
    with OPENERS[request.param](tmp_path_factory.mktemp("kept")) as opened:
        yield opened


@pytest.fixture
def engine(shared: Engine) -> Engine:
    return shared


def feed(engine: Engine, height: int, width: int, seed: int = 0, batch: int = 1) -> dict[str, np.ndarray]:
    pictures = [noise(height, width, seed + index) for index in range(batch)]
    if engine.inputs[0].picture:
        return {engine.inputs[0].name: np.stack(pictures)}
    return {engine.inputs[0].name: np.concatenate([to_network(pixels, engine.model.data_range) for pixels in pictures])}


def only(outputs: Arrays) -> np.ndarray:
    """The one output, in numbers that can be subtracted."""
    (output,) = outputs.values()
    return output.astype(np.float64)


def rounding_of(engine: Engine) -> float:
    """What another order of the same sums may change: 1e-3 on a scale of 255, or a grey level where there are bytes."""
    return 1.0 if engine.outputs[0].picture else 1e-3


def test_output_has_the_promised_name_type_and_shape(engine: Engine) -> None:
    result = engine.infer(feed(engine, 15, 22))
    assert list(result) == [spec.name for spec in engine.outputs]
    (output,) = result.values()
    height, width = 15 * engine.model.scale, 22 * engine.model.scale
    assert output.dtype == engine.outputs[0].dtype
    assert output.shape == ((1, height, width, 3) if engine.outputs[0].picture else (1, 3, height, width))
    for dim, size in zip(engine.outputs[0].dims, output.shape, strict=True):
        assert dim.accepts(size)


def test_the_smallest_output_is_the_smallest_input_magnified(engine: Engine) -> None:
    for spec, scale in ((engine.inputs[0], 1), (engine.outputs[0], engine.model.scale)):
        assert [spec.dims[axis].minimum for axis in spec.side_axes] == [13 * scale, 13 * scale]
        assert (spec.dims[0].minimum, spec.picture) == (1, engine.inputs[0].picture)


def test_shapes_are_those_of_the_input(engine: Engine) -> None:
    spec = engine.inputs[0]
    for shape in engine.shapes:
        for axis, low in zip(spec.side_axes, shape.min, strict=True):
            assert spec.dims[axis].accepts(low)
            assert not spec.dims[axis].accepts(low - 1)
        assert (shape.max is None) == (spec.dims[spec.side_axes[0]].maximum is None)
    assert any(shape.takes((16, 16)) for shape in engine.shapes)
    assert engine.infer(feed(engine, *engine.shapes[0].min))


def test_results_are_repeatable_and_owned_by_the_caller(engine: Engine) -> None:
    feeds = feed(engine, 16, 16)
    before = {name: value.copy() for name, value in feeds.items()}
    (first,) = engine.infer(feeds).values()
    kept = first.copy()
    (other,) = engine.infer(feed(engine, 16, 16, seed=1)).values()
    other[...] = 0
    (again,) = engine.infer(feeds).values()
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(again, kept)
    for name, value in feeds.items():
        np.testing.assert_array_equal(value, before[name])


def test_what_becomes_of_an_input_later_is_nothing_to_its_result(engine: Engine) -> None:
    feeds = feed(engine, 16, 16)
    (output,) = engine.infer(feeds).values()
    kept = output.copy()
    for value in feeds.values():
        value[...] = 0
    engine.infer(feed(engine, 20, 13, seed=2))
    np.testing.assert_array_equal(output, kept)


def test_a_batch_is_as_many_single_runs(engine: Engine) -> None:
    together = only(engine.infer(feed(engine, 14, 19, batch=2)))
    assert len(together) == 2
    for index in range(2):
        alone = only(engine.infer(feed(engine, 14, 19, seed=index)))
        np.testing.assert_allclose(together[index : index + 1], alone, rtol=0, atol=rounding_of(engine))
    assert np.abs(together[0] - together[1]).max() > 10


def test_threads_that_call_at_once_get_their_own_results(engine: Engine) -> None:
    feeds = [feed(engine, 14, 16, seed=seed) for seed in range(2)]
    expected = [only(engine.infer(one)) for one in feeds]
    start = Barrier(2)

    def called(index: int) -> list[np.ndarray]:
        start.wait()
        return [only(engine.infer(feeds[index])) for _ in range(10)]

    with ThreadPoolExecutor(2) as pool:
        for results, wanted in zip(pool.map(called, range(2)), expected, strict=True):
            for result in results:
                np.testing.assert_allclose(result, wanted, rtol=0, atol=rounding_of(engine))
    assert np.abs(expected[0] - expected[1]).max() > 10


def test_what_an_engine_does_not_take_is_a_shape_error(engine: Engine) -> None:
    ((name, x),) = feed(engine, 16, 16).items()
    for bad in (
        {name: np.concatenate([x, x], axis=3 if engine.inputs[0].picture else 1)},
        {name: x[0]},
        {name: feed(engine, 12, 16)[name]},
        {name: x.astype(np.float64)},
        {name: x, "other": x},
        {},
    ):
        with pytest.raises(ShapeError, match=f"takes {name} .* it does not take"):
            engine.infer(bad)
    assert engine.infer({name: x})


def test_layers_have_times_where_the_engine_tells_them(engine: Engine) -> None:
    feeds = feed(engine, 13, 16)
    before = only(engine.infer(feeds))
    layers = engine.layer_times(feeds, 2)
    tells = engine.name in TELL_LAYERS and not isinstance(engine, StagedEngine)
    assert bool(layers) == tells
    assert all(layer.ms >= 0 for layer in layers)
    if tells:
        assert sum(layer.ms for layer in layers) > 0
        assert any(layer.kind.startswith("Conv") and layer.ms > 0 for layer in layers)
        assert all(layer.name for layer in layers)
    np.testing.assert_array_equal(only(engine.infer(feeds)), before)


def test_watching_a_network_leaves_no_hooks_in_it() -> None:
    with open_pytorch(DEFAULT_WEIGHTS) as engine:
        assert isinstance(engine, PyTorchEngine)
        engine.layer_times(feed(engine, 13, 13), 1)
        modules = list(engine._network.modules())
    assert len(modules) > 100
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


@pytest.mark.parametrize("name", each(*OPENERS))
def test_a_closed_engine_may_be_closed_again_and_refuses_to_run(name: str, tmp_path: Path) -> None:
    engine = OPENERS[name](tmp_path)
    feeds = feed(engine, 13, 13)
    engine.infer(feeds)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed: open it again"):
        engine.infer(feeds)
    if engine.name in TELL_LAYERS:
        with pytest.raises(EngineError, match="is closed: open it again"):
            engine.layer_times(feeds, 1)


@pytest.mark.parametrize("name", each("onnxruntime-cpu", "openvino", "pytorch", *ON_A_GPU))
def test_engines_agree_with_the_training_form(name: str, tmp_path: Path) -> None:
    x = to_network(noise(24, 31), 255)
    with OPENERS[name](tmp_path) as engine, torch.inference_mode():
        assert engine.name == name
        output = only(engine.infer({engine.inputs[0].name: x}))
        expected = load_network(DEFAULT_WEIGHTS)(torch.tensor(x)).numpy()
    # 1e-4 of the 0..255 range.
    np.testing.assert_allclose(output, expected, rtol=0, atol=0.0255)


@pytest.mark.parametrize("name", each("onnxruntime-cpu, pictures", "openvino, pictures"))
def test_engines_of_pictures_agree_with_the_training_form(name: str, tmp_path: Path) -> None:
    pixels = noise(24, 31)
    with OPENERS[name](tmp_path) as engine, torch.inference_mode():
        output = engine.infer({engine.inputs[0].name: pixels[None]})[engine.outputs[0].name]
        expected = make_network()(torch.tensor(to_network(pixels, 255))).numpy()
    # What lies within 1e-3 of half a grey level may be rounded either way.
    difference = np.abs(output[0].astype(int) - to_pixels(expected, 255))
    assert difference.max() <= 1
    assert difference.mean() < 1e-3
    assert len(np.unique(output)) > 50


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


def test_automatic_choice_passes_over_with_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cuda(model: Path, options: RunOptions) -> Engine:
        raise EngineError("there is no CUDA: buy some")

    monkeypatch.setattr(ort, "open_cuda", no_cuda)
    choice = choose_engine()
    with choice.engine as engine:
        assert engine.name == "onnxruntime-cpu"
        assert engine.model.name == DEFAULT_ONNX.name
    assert choice.passed_over == ("onnxruntime-cuda (there is no CUDA)",)


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
    with pytest.raises(EngineError, match=r"onnxruntime-cuda.*onnxruntime-cpu.*openvino.*pytorch"):
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
