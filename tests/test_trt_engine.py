"""TensorRT engines at run time, up to where a GPU is needed; what follows runs against fakes."""

import dataclasses
import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from efdn.errors import ArtefactError, EfdnError, EngineError, MissingExtraError, ShapeError
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar, sidecar_path, write_sidecar
from engines import cuda, trt
from engines.cuda import CudaDevice
from engines.select import choose_engine
from engines.trt import open_tensorrt
from engines.upscale import upscale
from tests.conftest import has_gpu
from tests.test_sidecar import make_sidecar

PLAN = b"a plan"
MODEL = Path("model.engine")


def write_engine(**build: Any) -> None:
    """An engine file and the sidecar that describes it."""
    sidecar = make_sidecar(sha256=hashlib.sha256(PLAN).hexdigest())
    assert sidecar.build is not None
    write_sidecar(sidecar_path(MODEL), dataclasses.replace(sidecar, build=dataclasses.replace(sidecar.build, **build)))
    MODEL.write_bytes(PLAN)


class FakeContext:
    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.profiles: list[int] = []

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profiles.append(index)
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return shape[2] <= 128

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (1, 3, 4 * self.shape[2], 4 * self.shape[3])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        x = FakeDevice.memory[self.addresses["input"]]
        FakeDevice.memory[self.addresses["output"]] = x.repeat(4, axis=2).repeat(4, axis=3)
        return True


class FakeEngine:
    num_io_tensors = 2

    def get_tensor_name(self, index: int) -> str:
        return ("input", "output")[index]

    def get_tensor_mode(self, name: str) -> str:
        return name

    def get_tensor_dtype(self, name: str) -> str:
        return "FLOAT"

    def create_execution_context(self) -> FakeContext:
        return FakeContext()


class FakeTensorRT(SimpleNamespace):
    """As much of standard TensorRT as the engine uses."""

    def __init__(self, engine: FakeEngine | None) -> None:
        severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0, VERBOSE=4)

        class ILogger:
            Severity = severity

            def __init__(self) -> None:
                pass

        super().__init__(
            __name__="tensorrt",
            __version__="10.9.0",
            ILogger=ILogger,
            TensorIOMode=SimpleNamespace(INPUT="input"),
            nptype=lambda dtype: np.float32,
            Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine),
        )


class FakeDevice:
    """A GPU whose memory is a dictionary."""

    memory: ClassVar[dict[int, np.ndarray]] = {}
    freed: ClassVar[list[int]] = []
    name, architecture, stream = "Fake RTX", "sm86", 7

    def __init__(self) -> None:
        type(self).memory, type(self).freed = {}, []
        self.next_address = 1000

    def allocate(self, size: int) -> int:
        self.next_address += 1
        return self.next_address

    def free(self, address: int) -> None:
        self.freed.append(address)

    def upload(self, address: int, array: np.ndarray) -> None:
        self.memory[address] = array.copy()

    def download(self, array: np.ndarray, address: int) -> None:
        array[...] = self.memory[address]

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard TensorRT 10.9.0 on an SM86."""
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRT(FakeEngine()))
    monkeypatch.setattr(trt, "CudaDevice", FakeDevice)
    write_engine(runtime="tensorrt", tensorrt_version="10.9.0")


@pytest.mark.usefixtures("fake_gpu")
def test_runs_reuses_buffers_and_frees_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: FakeDevice, size: int) -> int:
        raise EngineError("out of memory")

    with choose_engine(MODEL).engine as engine:
        assert engine.name == "tensorrt"
        assert [str(dim) for dim in engine.inputs[0].dims] == ["1", "3", "13..128", "13..256"]
        assert [str(dim) for dim in engine.outputs[0].dims] == ["1", "3", "52..512", "52..1024"]
        for side in (20, 16, 24):
            x = np.random.default_rng(side).random((1, 3, side, side), dtype=np.float32)
            output = engine.infer({"input": x})["output"]
            np.testing.assert_array_equal(output, x.repeat(4, axis=2).repeat(4, axis=3))
        # 16 fits where 20 was; 24 does not.
        assert len(FakeDevice.freed) == 2
        monkeypatch.setattr(FakeDevice, "allocate", out_of_memory)
        with pytest.raises(EngineError, match="out of memory"):
            engine.infer({"input": np.zeros((1, 3, 64, 64), np.float32)})
        monkeypatch.undo()
        with pytest.raises(ShapeError, match="takes pictures of 13x13 to 128x256, this one has 129x64"):
            engine.infer({"input": np.zeros((1, 3, 129, 64), np.float32)})
    assert len(FakeDevice.freed) == 4
    assert len(set(FakeDevice.freed)) == 4


@pytest.mark.usefixtures("fake_gpu")
def test_the_smallest_profile_that_fits_is_chosen() -> None:
    shapes = (
        ShapeRange(min=(13, 13), opt=(64, 64), max=(128, 128)),
        ShapeRange(min=(20, 20), opt=(20, 20), max=(20, 20)),
    )
    write_sidecar(sidecar_path(MODEL), dataclasses.replace(read_sidecar(MODEL), shapes=shapes))
    engine = open_tensorrt(MODEL)
    assert isinstance(engine, trt.TensorRTEngine)
    with engine:
        assert [str(dim) for dim in engine.inputs[0].dims] == ["1", "3", "13..128", "13..128"]
        for side in (64, 20, 20, 21):
            engine.infer({"input": np.zeros((1, 3, side, side), np.float32)})
        assert engine._context.profiles == [1, 0]


def test_an_engine_of_pictures_takes_and_gives_bytes(fake_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class PictureContext(FakeContext):
        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self.shape = shape
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return (1, 4 * self.shape[1], 4 * self.shape[2], 3)

        def execute_async_v3(self, stream: int) -> bool:
            x = FakeDevice.memory[self.addresses["input"]]
            FakeDevice.memory[self.addresses["output"]] = x.repeat(4, axis=1).repeat(4, axis=2)
            return True

    fake = FakeTensorRT(FakeEngine())
    fake.nptype = lambda dtype: np.uint8
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    monkeypatch.setattr(FakeEngine, "create_execution_context", lambda self: PictureContext())
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    with open_tensorrt(MODEL) as engine:
        assert [str(dim) for dim in engine.inputs[0].dims] == ["1", "13..128", "13..256", "3"]
        np.testing.assert_array_equal(upscale(engine, pixels), pixels.repeat(4, axis=0).repeat(4, axis=1))
        with pytest.raises(ShapeError, match=r"13\.\.128x13\.\.256 .*this one has 129x20"):
            upscale(engine, np.zeros((129, 20, 3), np.uint8))


@pytest.mark.usefixtures("fake_gpu")
def test_an_engine_of_another_version_names_both_and_the_rebuild_command() -> None:
    write_engine(runtime="tensorrt", tensorrt_version="8.6.0")
    with pytest.raises(EngineError, match=r"8\.6\.0, here is 10\.9\.0.* --runtime tensorrt --fp16 --io float32 --min"):
        open_tensorrt(MODEL)


@pytest.mark.usefixtures("fake_gpu")
def test_an_engine_of_another_gpu_names_both() -> None:
    write_engine(runtime="tensorrt", tensorrt_version="10.9.0", gpu_targets=("sm90",))
    with pytest.raises(EngineError, match=r"built for sm90, here is Fake RTX \(sm86\)"):
        open_tensorrt(MODEL)


def test_an_engine_that_does_not_deserialise_is_explained(fake_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRT(None))
    with pytest.raises(EngineError, match="could not deserialise"):
        open_tensorrt(MODEL)


def test_a_static_engine_says_its_shape_in_the_rebuild_command() -> None:
    static = tuple(ShapeRange(min=side, opt=side, max=side) for side in ((64, 48), (20, 30)))
    assert "--shape 64x48 --gpu-arch sm89" in trt._rebuild(make_sidecar(shapes=static[:1]), gpu="sm89")
    assert "--shape 64x48 --shape 20x30" in trt._rebuild(make_sidecar(shapes=static))


def test_what_is_wrong_with_the_files_comes_first() -> None:
    MODEL.write_bytes(PLAN)
    with pytest.raises(ArtefactError, match="no model"):
        open_tensorrt(MODEL)
    write_engine()
    MODEL.write_bytes(b"another plan")
    with pytest.raises(ArtefactError, match="SHA-256 differs"):
        open_tensorrt(MODEL)
    write_sidecar(sidecar_path(MODEL), make_sidecar(build=None))
    with pytest.raises(ArtefactError, match="does not describe a TensorRT engine"):
        open_tensorrt(MODEL)


def test_a_missing_tensorrt_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    write_engine()
    with pytest.raises(MissingExtraError, match=r"needs tensorrt_rtx.*\.\[rtx\]"):
        open_tensorrt(MODEL)


@pytest.mark.tensorrt
@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_without_a_gpu_the_real_module_is_not_asked_to_deserialise() -> None:
    import tensorrt_rtx

    write_engine(tensorrt_version=tensorrt_rtx.__version__)
    with pytest.raises(EngineError, match=r"no usable NVIDIA GPU.*leave --model out"):
        open_tensorrt(MODEL)


@pytest.mark.tensorrt
def test_names_used_of_the_real_module_exist() -> None:
    import tensorrt_rtx as real

    for name in (
        "Runtime.deserialize_cuda_engine",
        "ICudaEngine.create_runtime_config",
        "ICudaEngine.create_execution_context",
        "IExecutionContext.set_optimization_profile_async",
        "ICudaEngine.get_tensor_mode",
        "ICudaEngine.get_tensor_dtype",
        "ICudaEngine.get_tensor_name",
        "ICudaEngine.num_io_tensors",
        "IExecutionContext.set_input_shape",
        "IExecutionContext.get_tensor_shape",
        "IExecutionContext.set_tensor_address",
        "IExecutionContext.execute_async_v3",
        "IRuntimeConfig.cuda_graph_strategy",
        "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
        "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE",
        "DynamicShapesKernelSpecializationStrategy.EAGER",
        "TensorIOMode.INPUT",
        "nptype",
    ):
        found: Any = real
        for part in name.split("."):
            found = getattr(found, part)


def test_cuda_failures_carry_their_name_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    class Status(int):
        name = "cudaErrorInsufficientDriver"

    bindings = SimpleNamespace(cudaGetDeviceCount=lambda: (Status(35), 0))
    monkeypatch.setattr(cuda, "import_extra", lambda *_: bindings)
    with pytest.raises(EngineError, match="CUDA error 35, cudaErrorInsufficientDriver"):
        CudaDevice()
    bindings.cudaGetDeviceCount = lambda: (Status(0), 0)
    with pytest.raises(EngineError, match="no NVIDIA GPU"):
        CudaDevice()


def test_missing_cuda_bindings_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(EfdnError, match=r"needs cuda-bindings.*\.\[gpu\]"):
        CudaDevice()
