"""ONNX Runtime: which provider does the work, GPUs at a seam with a fake, and times of nodes."""

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from efdn.assets import DEFAULT_ONNX
from efdn.errors import EngineError, MissingExtraError, ModelFileError, ShapeError
from efdn.inspection.onnx_file import Boundary, Initializers, read_onnx
from engines.options import RunOptions
from engines.ort import CPU, CUDA, TENSORRT, gpu, open_cpu, open_cuda, open_tensorrt
from engines.ort.gpu import OnnxRuntimeGpuEngine
from engines.ort.open import TF32_VARIABLE, tensorrt_options
from engines.ort.profile import read_profile
from engines.ort.providers import RECORD_PLACEMENT, check_provider
from engines.protocol import DeviceMemory
from engines.registry import ENGINES
from engines.select import choose_engine
from engines.worker.sampling import run_sample
from tests.conftest import noise
from tests.fake_onnxruntime import FakeOnnxRuntime


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeOnnxRuntime:
    """ONNX Runtime on a machine with CUDA."""
    return installed_fake(monkeypatch, CUDA, CPU)


def installed_fake(monkeypatch: pytest.MonkeyPatch, *in_use: str, **facts: Any) -> FakeOnnxRuntime:
    fake = FakeOnnxRuntime(*in_use, **facts)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setenv(TF32_VARIABLE, "0")
    return fake


def opened(path: Path = DEFAULT_ONNX) -> OnnxRuntimeGpuEngine:
    engine = open_cuda(path)
    assert isinstance(engine, OnnxRuntimeGpuEngine)
    return engine


def picture(height: int, width: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(height).random((batch, 3, height, width), dtype=np.float32)


# Which provider does the work.


@pytest.mark.parametrize(
    ("name", "said"),
    [("onnxruntime-cuda", "CUDA and cuDNN"), ("onnxruntime-tensorrt", "CUDA, cuDNN and TensorRT")],
)
def test_a_silent_fall_back_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    installed_fake(monkeypatch, CPU)
    with pytest.raises(EngineError, match=f"fell back to CPUExecutionProvider although .*Execution.* {said}"):
        choose_engine(None, name, RunOptions(cache_dir=Path("cache")))


@pytest.mark.parametrize("elsewhere", [1, 173])
def test_convolutions_on_another_provider_are_an_error(monkeypatch: pytest.MonkeyPatch, elsewhere: int) -> None:
    installed_fake(monkeypatch, CUDA, CPU, convolutions={CUDA: 173 - elsewhere, CPU: elsewhere})
    with pytest.raises(EngineError, match=f"placed {elsewhere} of 173 convolutions on .*CPU.* although CUDA"):
        open_cuda(DEFAULT_ONNX)


def test_shapes_computed_on_the_cpu_are_none(runtime: FakeOnnxRuntime) -> None:
    with open_cuda(DEFAULT_ONNX) as engine:
        assert engine.detail == "ONNX Runtime 1.99.0, CUDA"
    settings, providers = runtime.sessions[0]
    assert settings.entries == {RECORD_PLACEMENT: "1"}
    assert providers == [(CUDA, {"use_tf32": "0"}), CPU]


def test_the_real_onnx_runtime_tells_where_convolutions_are() -> None:
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(RECORD_PLACEMENT, "1")
    session = onnxruntime.InferenceSession(DEFAULT_ONNX.read_bytes(), settings, providers=[CPU])
    check_provider(session, CPU)
    if not hasattr(session, "get_provider_graph_assignment_info"):
        pytest.skip("ONNX Runtime before 1.24 does not tell")

    class Pretending:
        get_providers = staticmethod(lambda: [CUDA, CPU])
        get_provider_graph_assignment_info = session.get_provider_graph_assignment_info

    with pytest.raises(EngineError, match="placed 220 of 220 convolutions on CPUExecutionProvider"):
        check_provider(Pretending(), CUDA)


def test_a_build_without_the_provider_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_fake(monkeypatch, CPU, available=(CPU,))
    for opener, said in ((open_cuda, "no CUDA"), (open_tensorrt, "no TensorRT")):
        with pytest.raises(
            EngineError, match=rf'{said}: pip uninstall onnxruntime, then, for .* GPU, pip install "\.\[gpu\]"'
        ):
            opener(DEFAULT_ONNX)


def test_what_fails_on_the_gpu_is_not_blamed_on_the_file(runtime: FakeOnnxRuntime) -> None:
    runtime.load_error = "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 100: no CUDA-capable device is detected"
    with pytest.raises(EngineError, match=r"on CUDA: .*no CUDA-capable.*onnxruntime-cpu") as caught:
        open_cuda(DEFAULT_ONNX)
    assert not isinstance(caught.value, ModelFileError)
    runtime.load_error = "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model failed"
    with pytest.raises(ModelFileError, match="cannot load"):
        open_cuda(DEFAULT_ONNX)


def test_tensorrt_in_onnx_runtime_is_never_chosen_by_itself() -> None:
    assert [entry.on_request for entry in ENGINES if entry.name == "onnxruntime-tensorrt"] == [True]


# Options of TensorRT.


def test_types_of_the_graph_decide_on_half_precision() -> None:
    details = read_onnx(DEFAULT_ONNX.read_bytes())
    options = RunOptions(cache_dir=Path("cache"))
    assert tensorrt_options(details, "00" * 32, options)["trt_fp16_enable"] == "0"
    half = dataclasses.replace(
        details, initializers=(*details.initializers, Initializers(dtype="float16", tensors=1, bytes=2))
    )
    assert tensorrt_options(half, "00" * 32, options)["trt_fp16_enable"] == "1"


@pytest.mark.parametrize(
    ("shape", "asked", "recorded"),
    [((1, 3, 64, 64), True, "1"), ((1, 3, 64, 64), False, "0"), ((1, 3, "height", "width"), True, "0")],
)
def test_only_graphs_of_one_shape_are_recorded(shape: tuple[int | str, ...], asked: bool, recorded: str) -> None:
    entry = Boundary(name="input", dtype="float32", shape=shape)
    details = dataclasses.replace(read_onnx(DEFAULT_ONNX.read_bytes()), inputs=(entry,))
    options = RunOptions(cache_dir=Path("cache"), cuda_graph=asked)
    assert tensorrt_options(details, "00" * 32, options)["trt_cuda_graph_enable"] == recorded


def test_every_file_has_its_own_engine_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = installed_fake(monkeypatch, TENSORRT, CUDA, CPU)
    other = tmp_path / DEFAULT_ONNX.name
    other.write_bytes(DEFAULT_ONNX.read_bytes().replace(b"efdn 0.1.0", b"efdn 0.1.1"))
    for path in (DEFAULT_ONNX, other):
        with open_tensorrt(path, RunOptions(cache_dir=tmp_path / "cache")) as engine:
            assert (engine.name, engine.detail) == ("onnxruntime-tensorrt", "ONNX Runtime 1.99.0, TensorRT")
    folders = set()
    for _, providers in runtime.sessions:
        (first, options), (second, _), third = providers
        assert (first, second, third) == (TENSORRT, CUDA, CPU)
        assert options["trt_engine_cache_enable"] == "1"
        folders.add(Path(options["trt_engine_cache_path"]))
    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {tmp_path / "cache" / "onnxruntime-tensorrt"}
    assert all(folder.is_dir() for folder in folders)


def test_without_a_cache_folder_tensorrt_runs_all_the_same(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    details = read_onnx(DEFAULT_ONNX.read_bytes())
    assert "trt_engine_cache_path" not in tensorrt_options(details, "00" * 32, RunOptions(cache_dir=in_the_way))


def test_tf32_is_left_off_for_tensorrt_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for before, after in ((None, "0"), ("1", "1")):
        installed_fake(monkeypatch, TENSORRT, CUDA, CPU)
        if before is None:
            monkeypatch.delenv(TF32_VARIABLE)
        else:
            monkeypatch.setenv(TF32_VARIABLE, before)
        open_tensorrt(DEFAULT_ONNX, RunOptions(cache_dir=Path("cache"))).close()
        assert os.environ[TF32_VARIABLE] == after


# On a GPU.


def test_buffers_are_kept_for_the_same_shape_and_replaced_for_another(runtime: FakeOnnxRuntime) -> None:
    with opened() as engine:
        for side in (20, 20, 16, 16):
            x = picture(side, side)
            np.testing.assert_array_equal(engine.infer({"input": x})["output"], x.repeat(4, axis=2).repeat(4, axis=3))
    assert runtime.allocated == [(1, 3, 20, 20), (1, 3, 80, 80), (1, 3, 16, 16), (1, 3, 64, 64)]


def test_stages_do_each_its_own_part(runtime: FakeOnnxRuntime) -> None:
    x = picture(13, 17)
    with opened() as engine:
        engine.bind({"input": x})
        assert runtime.calls == []
        for stage, done in (
            (engine.upload, ["upload"]),
            (engine.enqueue, ["run"]),
            (engine.download, ["download"]),
            (engine.wait, ["wait for inputs", "wait for outputs"]),
            (engine.mark, ["wait for inputs", "wait for outputs"]),
        ):
            runtime.calls.clear()
            stage()
            assert runtime.calls == done
        np.testing.assert_array_equal(engine.collect()["output"][..., ::4, ::4], x)


def test_a_timed_run_has_all_stages(runtime: FakeOnnxRuntime) -> None:
    with opened() as engine:
        sample, upscaled = run_sample(engine, noise(14, 15)[None])
    np.testing.assert_array_equal(upscaled[0, ::4, ::4], noise(14, 15))
    stages = (sample.h2d, sample.compute, sample.d2h, sample.enqueue)
    assert all(stage is not None and stage >= 0 for stage in stages)
    assert sample.h2d is not None
    assert sample.d2h is not None
    assert sample.h2d + sample.compute + sample.d2h <= sample.infer


def test_a_failed_run_is_told_and_the_engine_goes_on(runtime: FakeOnnxRuntime) -> None:
    with opened() as engine:
        runtime.run_error = "Failed to allocate memory for requested buffer of size 12345"
        with pytest.raises(EngineError, match=r"failed on input \(1, 3, 13, 13\): Failed to allocate"):
            engine.infer({"input": picture(13, 13)})
        runtime.run_error = None
        assert engine.infer({"input": picture(13, 13)})["output"].shape == (1, 3, 52, 52)


def test_the_gpu_tells_its_memory_where_its_bindings_are(
    runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Device:
        closed = 0

        def memory(self) -> DeviceMemory:
            return DeviceMemory(free=3, total=4)

        def close(self) -> None:
            self.closed += 1

    def missing(provider: str | None) -> Device:
        raise MissingExtraError("cuda-bindings", "gpu", "Running a TensorRT engine")

    device = Device()
    with opened() as engine:
        monkeypatch.setattr(gpu, "open_device", missing)
        with pytest.raises(MissingExtraError, match=r"Reading the GPU's memory needs cuda-bindings.*\[gpu\]"):
            engine.device_memory()
        monkeypatch.setattr(gpu, "open_device", lambda provider: device)
        assert engine.device_memory() == engine.device_memory() == (3, 4)
    assert device.closed == 1


def test_a_gpu_tells_no_times_of_nodes(runtime: FakeOnnxRuntime) -> None:
    with opened() as engine:
        assert engine.layer_times({"input": picture(13, 13)}, 2) == ()


# On the CPU.


def test_a_shape_that_onnx_runtime_refuses_itself_is_a_shape_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.ort.engine.check_feeds", lambda *_: None)
    with open_cpu(DEFAULT_ONNX) as engine, pytest.raises(ShapeError, match="does not take"):
        engine.infer({"input": np.zeros((1, 4, 20, 20), np.float32)})


def test_times_of_nodes_leave_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_cpu(DEFAULT_ONNX, RunOptions(threads=1)) as engine:
        layers = engine.layer_times({"input": picture(13, 13)}, 2)
    assert list(tmp_path.iterdir()) == []
    assert sum(layer.kind == "Conv" for layer in layers) == 220
    assert layers[0].name.startswith("head/Conv")


def test_a_profile_is_read_in_order_without_its_first_run() -> None:
    def event(name: str, index: int, ts: int, dur: int, **more: str) -> dict[str, Any]:
        return {
            "cat": "Node", "name": name, "ts": ts, "dur": dur, "args": {"node_index": str(index), "op_name": "Conv"},
            **more,
        }  # fmt: skip

    events = [
        {"cat": "Session", "name": "model_run", "ts": 0, "dur": 900},
        event("a_kernel_time", 7, 1, 500), event("_kernel_time", 3, 2, 600), event("a_fence_before", 7, 0, 5),
        event("_kernel_time", 3, 12, 40), event("a_kernel_time", 7, 11, 10),
        event("a_kernel_time", 7, 21, 30), event("_kernel_time", 3, 22, 20),
    ]  # fmt: skip
    layers = read_profile(json.dumps(events), skipped=1)
    assert [(layer.name, layer.kind) for layer in layers] == [("a", "Conv"), ("", "Conv")]
    assert [layer.ms for layer in layers] == pytest.approx([0.020, 0.030])
