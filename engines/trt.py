"""TensorRT and TensorRT for RTX at run time, one class for both.

Everything that can be known from the sidecar is checked before the engine is
deserialised, because TensorRT's own answer to a mismatch is to return nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ArtefactError, EngineError, ShapeError
from efdn.extras import import_extra
from efdn.files import read_bytes, sha256_of_bytes
from efdn.sidecar import ShapeRange, Sidecar, read_sidecar
from engines.cuda import CudaDevice
from engines.protocol import PICTURE_DTYPE, Arrays, Dim, Engine, ModelInfo, TensorSpec
from engines.trt_log import listening, logger_of

FLAVOURS = {"rtx": ("tensorrt_rtx", "rtx"), "tensorrt": ("tensorrt", "gpu")}
"""Per runtime, the module to import and the extra that brings it."""


def open_tensorrt(model: Path) -> Engine:
    """Opens a TensorRT engine file on the first GPU.

    Raises:
        ArtefactError: the sidecar is missing, broken, or of another file.
        MissingExtraError: the TensorRT that built it is not installed.
        EngineError: no GPU, or the engine was built for another version or GPU.
    """
    sidecar = read_sidecar(model)
    if sidecar.build is None or sidecar.build.runtime not in FLAVOURS:
        raise ArtefactError(f"the sidecar of {model} does not describe a TensorRT engine: build it anew")
    plan = read_bytes(model)
    if sha256_of_bytes(plan) != sidecar.sha256:
        raise ArtefactError(f"{model} is not the file its sidecar describes (SHA-256 differs): {_rebuild(sidecar)}")
    return open_built(plan, sidecar, str(model))


def open_built(plan: bytes, sidecar: Sidecar, name: str) -> Engine:
    """Opens the content of an engine file on the first GPU.

    Args:
        plan: content of the file.
        sidecar: what it is; an engine's.
        name: of the file, for errors.

    Raises:
        MissingExtraError: the TensorRT that built it is not installed.
        EngineError: no GPU, or the engine was built for another version or GPU.
    """
    assert sidecar.build is not None
    trt = load_flavour(sidecar.build.runtime, "Running this engine file")
    _check_version(trt, sidecar, name)
    device = CudaDevice()
    try:
        _check_gpu(device, sidecar, name)
        return TensorRTEngine(trt, plan, device, sidecar)
    except BaseException:
        device.close()
        raise


class TensorRTEngine(Engine):
    """A deserialised engine with one execution context. Not for use from several threads at once.

    Args:
        trt: the TensorRT module.
        plan: the engine file.
        device: where it runs; closed with the engine.
        sidecar: what the engine is.
    """

    def __init__(self, trt: ModuleType, plan: bytes, device: CudaDevice, sidecar: Sidecar) -> None:
        self._trt = trt
        self._device = device
        self._buffers: dict[str, tuple[int, int]] = {}
        runtime = trt.Runtime(logger_of(trt))
        with listening(trt) as messages:
            self._engine = runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"TensorRT could not deserialise {sidecar.file} ({messages.last_error}): {_rebuild(sidecar)}"
            )
        with listening(trt) as messages:
            self._context = _make_context(trt, self._engine)
        if self._context is None:
            raise EngineError(f"TensorRT could not create a context for {sidecar.file} ({messages.last_error})")
        self.name = "tensorrt"
        self.detail = f"{trt.__name__} {trt.__version__}, {device.name}"
        self.model = ModelInfo(name=sidecar.file, scale=sidecar.scale, data_range=sidecar.data_range)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = {name: self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        self._shapes = sidecar.shapes
        self._profile = 0
        self.inputs = tuple(self._spec(name, sidecar.shapes, 1) for name in names if is_input[name])
        self.outputs = tuple(self._spec(name, sidecar.shapes, sidecar.scale) for name in names if not is_input[name])

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        for name, value in feeds.items():
            self._check_feed(name, value)
            self._choose_profile(_sides_of(value))
            if not self._context.set_input_shape(name, tuple(value.shape)):
                raise ShapeError(f"{self.model.name} does not take {name} {tuple(value.shape)}")
            self._device.upload(self._bind(name, value.nbytes), value)
        results: Arrays = {}
        for spec in self.outputs:
            shape = tuple(self._context.get_tensor_shape(spec.name))
            results[spec.name] = np.empty(shape, dtype=spec.dtype)
            self._bind(spec.name, results[spec.name].nbytes)
        with listening(self._trt) as messages:
            started = self._context.execute_async_v3(self._device.stream)
        if not started:
            raise EngineError(f"TensorRT failed to run {self.model.name} ({messages.last_error})")
        for name, value in results.items():
            self._device.download(value, self._buffers[name][0])
        self._device.wait()
        return results

    def close(self) -> None:
        for address, _ in self._buffers.values():
            self._device.free(address)
        self._buffers.clear()
        # The context must go before its engine.
        self._context = self._engine = None
        self._device.close()

    def _bind(self, name: str, size: int) -> int:
        """Address of a device buffer for a tensor, kept between calls and grown when needed."""
        address, capacity = self._buffers.get(name, (0, 0))
        if capacity < size:
            if capacity:
                # Forgotten before it is freed: should what follows fail, it must not be freed again.
                del self._buffers[name]
                self._device.free(address)
            address = self._device.allocate(size)
            self._buffers[name] = (address, size)
        self._context.set_tensor_address(name, address)
        return address

    def _check_feed(self, name: str, value: NDArray[Any]) -> None:
        """TensorRT would read whatever bytes lie there."""
        spec = next((spec for spec in self.inputs if spec.name == name), None)
        if spec is None or value.dtype != spec.dtype or value.ndim != len(spec.dims):
            wanted = ", ".join(f"{spec.name} ({spec.dtype}, {len(spec.dims)} axes)" for spec in self.inputs)
            raise ShapeError(f"{self.model.name} takes {wanted}, got {name} ({value.dtype}, {value.ndim} axes)")

    def _choose_profile(self, sides: tuple[int, int]) -> None:
        """Switches to the smallest profile that takes a picture of these sides."""
        fitting = [index for index, shape in enumerate(self._shapes) if shape.takes(sides)]
        if not fitting:
            takes = ", ".join(map(str, self._shapes))
            raise ShapeError(f"{self.model.name} takes pictures of {takes}, this one has {sides[0]}x{sides[1]}")
        best = min(fitting, key=lambda index: math.prod(self._shapes[index].max or sides))
        if best != self._profile:
            if not self._context.set_optimization_profile_async(best, self._device.stream):
                raise EngineError(
                    f"TensorRT could not switch {self.model.name} to its profile for {self._shapes[best]}"
                )
            self._profile = best

    def _spec(self, name: str, shapes: tuple[ShapeRange, ...], scale: int) -> TensorSpec:
        """What all profiles together span; `infer` refuses what falls between them."""
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))).name
        sides = []
        for axis in (0, 1):
            largest = [None if shape.max is None else shape.max[axis] for shape in shapes]
            bounded = [scale * side for side in largest if side is not None]
            low = scale * min(shape.min[axis] for shape in shapes)
            sides.append(Dim(low, max(bounded) if len(bounded) == len(shapes) else None))
        batch, colours = Dim(1, 1), Dim(3, 3)
        picture = dtype == PICTURE_DTYPE
        return TensorSpec(
            name=name, dtype=dtype, dims=(batch, *sides, colours) if picture else (batch, colours, *sides)
        )


def load_flavour(runtime: str, purpose: str) -> ModuleType:
    """The TensorRT module of a runtime.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it does not load.
    """
    module, extra = FLAVOURS[runtime]
    return import_extra(module, extra, purpose)


def _check_version(trt: ModuleType, sidecar: Sidecar, model: str) -> None:
    assert sidecar.build is not None
    if trt.__version__ != sidecar.build.tensorrt_version:
        raise EngineError(
            f"{model} was built by {trt.__name__} {sidecar.build.tensorrt_version}, here is {trt.__version__}: "
            f"{_rebuild(sidecar)}"
        )


def _check_gpu(device: CudaDevice, sidecar: Sidecar, model: str) -> None:
    assert sidecar.build is not None
    if device.architecture not in sidecar.build.gpu_targets:
        raise EngineError(
            f"{model} was built for {', '.join(sidecar.build.gpu_targets)}, "
            f"here is {device.name} ({device.architecture}): {_rebuild(sidecar, gpu=device.architecture)}"
        )


def _rebuild(sidecar: Sidecar, *, gpu: str | None = None) -> str:
    """The command that builds such an engine again, but for passes that are not the default."""
    assert sidecar.build is not None
    if all(shape.static for shape in sidecar.shapes):
        shapes = " ".join(f"--shape {shape}" for shape in sidecar.shapes)
    else:
        shape = sidecar.shapes[0]
        largest = shape.max or shape.opt
        shapes = " ".join(
            f"--{name} {side[0]}x{side[1]}" for name, side in (("min", shape.min), ("opt", shape.opt), ("max", largest))
        )
    target = f" --gpu-arch {gpu}" if gpu is not None and sidecar.build.runtime == "rtx" else ""
    return (
        f"build it anew with: efdn-export trt --runtime {sidecar.build.runtime} --{sidecar.precision} "
        f"--io {sidecar.io} {shapes}{target}{_own_options(sidecar)}"
    )


def _own_options(sidecar: Sidecar) -> str:
    """Options for weights that are not the packaged ones, and for parts kept in FP32."""
    weights = "" if sidecar.weights == DEFAULT_WEIGHTS.name else f" --weights {sidecar.weights}"
    kept = f" --keep-fp32 '{','.join(sidecar.keep_fp32)}'" if sidecar.keep_fp32 else ""
    return weights + kept


def _sides_of(value: NDArray[Any]) -> tuple[int, int]:
    """(height, width) of an input: bytes come as (N, H, W, 3), floats as (N, 3, H, W)."""
    height, width = value.shape[1:3] if value.dtype == PICTURE_DTYPE else value.shape[2:4]
    return height, width


def _make_context(trt: ModuleType, engine: Any) -> Any:
    """A context; on TensorRT for RTX with CUDA graphs, which it leaves off by default."""
    if not hasattr(trt, "CudaGraphStrategy"):
        return engine.create_execution_context()
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    return engine.create_execution_context(config)
