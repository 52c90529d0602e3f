"""One contract for every engine that this machine can run, and for a fake."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EngineError, ShapeError
from efdn.passes.pipeline import deploy_network
from efdn.weights import load_network
from engines.bicubic import BicubicEngine
from engines.openvino import OpenVinoEngine, open_openvino
from engines.options import RunOptions
from engines.ort import CPU, CUDA, OnnxRuntimeEngine, open_cpu, open_cuda, open_tensorrt
from engines.protocol import Arrays, Engine, StagedEngine
from engines.pytorch import PyTorchEngine, open_pytorch
from engines.whole import to_network, to_pixels
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.precision import Precision
from tests.conftest import has_onnxruntime_cuda, installed, make_network, noise
from tests.fake_engine import NearestNeighbour
from tests.fake_onnxruntime import FakeOnnxRuntime
from tests.fakes.machine import open_on_fake_gpu as open_tensorrt_on_fake_gpu


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
    "bicubic": lambda folder: BicubicEngine(4),
    "onnxruntime-cuda on a fake": open_on_fake_gpu,
    "tensorrt on a fake": lambda folder: open_tensorrt_on_fake_gpu(folder, "tensorrt"),
    "tensorrt rtx on a fake": lambda folder: open_tensorrt_on_fake_gpu(folder, "rtx"),
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
    marks = [] if needs is None else [pytest.mark.skipif(not installed(needs), reason=f"{needs} is not installed")]
    if name in ON_A_GPU:
        marks += [pytest.mark.gpu, pytest.mark.skipif(not has_onnxruntime_cuda(), reason="no ONNX Runtime with CUDA")]
    if name == "onnxruntime-tensorrt":
        marks.append(pytest.mark.slow)  # It compiles for every new shape.
    return marks


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


def smallest_side(engine: Engine) -> int:
    """What the network needs, or no network."""
    return 1 if isinstance(engine, BicubicEngine) else 13


def only(outputs: Arrays) -> np.ndarray:
    """The one output, in numbers that can be subtracted."""
    (output,) = outputs.values()
    return output.astype(np.float64)


def rounding_of(engine: Engine) -> float:
    """What another order of the same sums may change: 1e-3 on a scale of 255, or a grey level where there are bytes."""
    if engine.outputs[0].picture:
        return 1.0
    # GPUs choose other algorithms for other batches.
    return 0.0255 if isinstance(engine, StagedEngine) else 1e-3


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
        assert [spec.dims[axis].minimum for axis in spec.side_axes] == [smallest_side(engine) * scale] * 2
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
        {name: feed(engine, smallest_side(engine) - 1, 16)[name]},
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
    assert bool(layers) == (tells or engine.name == "tensorrt")
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
    if engine.name in TELL_LAYERS and not isinstance(engine, StagedEngine):
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
