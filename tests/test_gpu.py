"""What only a GPU can show: `make gpu-check` runs these, and they are skipped, visibly, where there is none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import DeviceMemoryError, EfdnError
from efdn.shapes import ShapeRange
from efdn.weights import load_network
from engines.cuda.device import CudaDevice
from engines.cuda.open import open_device
from engines.options import RunOptions
from engines.protocol import Engine, StagedEngine
from engines.trt.open import open_tensorrt
from engines.whole import to_network, to_pixels, upscale
from tests.conftest import installed, noise

pytestmark = pytest.mark.gpu

SIDE = 64
MEGABYTE = 1 << 20


@pytest.fixture
def device() -> Iterator[CudaDevice]:
    opened = open_device()
    yield opened
    opened.close()


def test_bytes_go_to_the_gpu_and_back(device: CudaDevice) -> None:
    sent, received = device.pin(MEGABYTE), device.pin(MEGABYTE)
    sent[:] = np.random.default_rng(0).integers(0, 256, MEGABYTE, dtype=np.uint8)
    address = device.allocate(MEGABYTE)
    before = device.mark()
    device.upload(address, sent)
    device.download(received, address)
    after = device.mark()
    device.wait()
    np.testing.assert_array_equal(sent, received)
    assert after.ms_since(before) > 0
    device.free(address)
    device.unpin(sent)
    device.unpin(received)


def test_a_recording_repeats_what_it_recorded(device: CudaDevice) -> None:
    if not device.graphs:
        pytest.skip("these bindings cannot record")
    memory, address = device.pin(MEGABYTE), device.allocate(MEGABYTE)
    result = device.pin(MEGABYTE)
    graph = device.record(lambda: device.upload(address, memory))
    for value in (1, 2):
        memory[:] = value
        device.replay(graph)
        device.download(result, address)
        device.wait()
        assert (result == value).all()
    device.forget(graph)
    device.free(address)


def test_more_memory_than_there_is_is_refused_with_figures(device: CudaDevice) -> None:
    with pytest.raises(DeviceMemoryError) as caught:
        device.allocate(1 << 50)
    assert caught.value.needed_bytes == 1 << 50
    assert 0 < caught.value.free_bytes <= device.memory().total
    device.free(device.allocate(MEGABYTE))


@pytest.fixture(scope="module", params=["tensorrt", "rtx"])
def engine_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An FP16 engine for 64x64 built for this GPU, pictures in and out, up to two at once."""
    from export.options import EngineOptions
    from export.trt_builders import RTX_TARGETS, EngineBuilder, RtxBuilder, StandardBuilder
    from export.trt_export import export_engine

    if not installed({"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}[request.param]):
        pytest.skip(f"no TensorRT of the flavour {request.param}")
    gpu = open_device()
    architecture = gpu.architecture
    gpu.close()
    if request.param == "rtx" and architecture not in RTX_TARGETS:
        pytest.skip(f"TensorRT for RTX does not serve {architecture}")
    try:
        builder: EngineBuilder = StandardBuilder() if request.param == "tensorrt" else RtxBuilder((architecture,))
    except EfdnError as error:
        pytest.skip(str(error))
    target = tmp_path_factory.mktemp("engine") / f"{request.param}.engine"
    shape = ShapeRange(min=(SIDE, SIDE), opt=(SIDE, SIDE), max=(SIDE, SIDE))
    # The export itself compares the engine with PyTorch where it can run.
    done = export_engine(DEFAULT_WEIGHTS, target, builder=builder, options=EngineOptions(shapes=(shape,), batch=2))
    assert done.not_run is None
    return target


@pytest.fixture(params=[True, False], ids=["graph", "no graph"])
def engine(engine_file: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with open_tensorrt(engine_file, RunOptions(cuda_graph=request.param, cache_dir=tmp_path)) as opened:
        yield opened


def test_pictures_are_those_of_pytorch_to_a_grey_level(engine: Engine) -> None:
    network = load_network(DEFAULT_WEIGHTS)
    for seed in range(4):  # Recorded graphs come in from the second on.
        pixels = noise(SIDE, SIDE, seed)
        with torch.inference_mode():
            expected = to_pixels(network(torch.tensor(to_network(pixels, 255))).numpy(), 255)
        # Noise is the hardest picture for half precision: two levels there, one on photos (checked at export).
        assert np.abs(upscale(engine, pixels).astype(int) - expected).max() <= 2


def test_a_batch_is_its_pictures_one_by_one(engine: Engine) -> None:
    pair = np.stack([noise(SIDE, SIDE, seed) for seed in (1, 2)])
    (both,) = engine.infer({engine.inputs[0].name: pair}).values()
    for index in range(2):
        assert np.abs(both[index].astype(int) - upscale(engine, pair[index])).max() <= 1


def test_memory_of_the_gpu_does_not_grow(engine: Engine) -> None:
    assert isinstance(engine, StagedEngine)
    pixels = noise(SIDE, SIDE)
    for _ in range(20):
        upscale(engine, pixels)
    before = engine.device_memory().free
    for _ in range(1000):
        upscale(engine, pixels)
    gc.collect()
    assert before - engine.device_memory().free < 8 * MEGABYTE


def test_results_outlive_later_runs(engine: Engine) -> None:
    first = upscale(engine, noise(SIDE, SIDE, 1))
    kept = first.copy()
    for seed in range(2, 6):
        upscale(engine, noise(SIDE, SIDE, seed))
    np.testing.assert_array_equal(first, kept)


def test_layers_have_times(engine: Engine) -> None:
    layers = engine.layer_times({engine.inputs[0].name: noise(SIDE, SIDE)[None]}, 5)
    assert len(layers) > 10
    assert all(layer.ms >= 0 for layer in layers)
    assert sum(layer.ms for layer in layers) > 0


def test_compiled_kernels_are_found_again(engine_file: Path, tmp_path: Path) -> None:
    if engine_file.stem != "rtx":
        pytest.skip("only TensorRT for RTX compiles on opening")
    options = RunOptions(cache_dir=tmp_path)
    open_tensorrt(engine_file, options).close()
    with open_tensorrt(engine_file, options) as again:
        assert "warm cache" in again.detail
