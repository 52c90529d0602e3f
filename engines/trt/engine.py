"""TensorRT and TensorRT for RTX at run time, one class for both."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError, ShapeError
from efdn.sidecar import Sidecar
from engines.cuda.device import CudaDevice
from engines.feeds import check_feeds
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import (
    Arrays,
    DeviceMemory,
    LayerTime,
    ModelInfo,
    StagedEngine,
    TensorSpec,
    Timestamp,
)
from engines.trt.buffers import DeviceBuffers, PinnedPool
from engines.trt.contexts import make_context
from engines.trt.flavours import is_rtx
from engines.trt.launcher import Launcher
from engines.trt.layers import measure_layers
from engines.trt.log import listening, logger_of
from engines.trt.preflight import check_memory
from engines.trt.rebuild import rebuild_command
from engines.trt.runtime_cache import RuntimeCache, runtime_cache_path
from engines.trt.specs import tensor_spec

Feeds = Mapping[str, NDArray[Any]]


class TensorRTEngine(StagedEngine):
    """A deserialised engine with one execution context.

    Calls of `infer` from several threads wait for each other. Results lie in
    page-locked memory, which comes back to the engine when they are gone.

    Args:
        trt: the TensorRT module.
        plan: the engine file.
        device: where it runs; closed with the engine.
        sidecar: what the engine is.
        options: how it is to run.

    Raises:
        DeviceMemoryError: the GPU has too little memory left.
        EngineError: TensorRT does not take the engine.
    """

    name = "tensorrt"

    def __init__(
        self,
        trt: ModuleType,
        plan: bytes,
        device: CudaDevice,
        sidecar: Sidecar,
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._trt, self._device, self._sidecar = trt, device, sidecar
        self._guard = threading.Lock()
        self._runtime = trt.Runtime(logger_of(trt))
        self._engine = self._deserialized(plan)
        check_memory(device, self._engine, sidecar)
        self._cache = self._runtime_cache(options) if is_rtx(trt) else None
        self._context = make_context(trt, self._engine, sidecar, cuda_graph=options.cuda_graph, cache=self._cache)
        if self._cache is not None:
            self._cache.save()  # Now too: not every process that has opened an engine lives to close it.
        self._buffers, self._pool = DeviceBuffers(device), PinnedPool(device)
        recording = options.cuda_graph and device.graphs and not is_rtx(trt)
        self._launcher = Launcher(device, self._start, recording=recording)
        self._profile = 0
        self._staged_in: Arrays = {}
        self._staged_out: Arrays = {}
        self.model = ModelInfo(name=sidecar.file, scale=sidecar.scale, data_range=sidecar.data_range)
        self.shapes = sidecar.shapes
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = {name: self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        self.inputs = tuple(tensor_spec(trt, self._engine, name, sidecar, 1) for name in names if is_input[name])
        self.outputs = tuple(
            tensor_spec(trt, self._engine, name, sidecar, sidecar.scale) for name in names if not is_input[name]
        )

    @property
    def detail(self) -> str:  # type: ignore[override]
        """Versions, device, and what was found of graphs and caches."""
        parts = [f"{self._trt.__name__} {self._trt.__version__}", self._device.name]
        if self._cache is not None and self._cache.warm:
            parts.append("warm cache")
        if self._launcher.failure is not None:
            parts.append("no CUDA graph")
        return ", ".join(parts)

    def infer(self, feeds: Feeds) -> Arrays:
        with self._guard:
            self.bind(feeds)
            self.upload()
            self.enqueue()
            self.download()
            self.wait()
            return self.collect()

    def bind(self, feeds: Feeds) -> None:
        if self._context is None:
            raise EngineError(f"{self.model.name} is closed: open it again")
        check_feeds(self.model.name, self.inputs, feeds)
        for spec in self.inputs:
            value = feeds[spec.name]
            self._choose_profile(_sides_of(spec, value))
            if not self._context.set_input_shape(spec.name, tuple(value.shape)):
                raise ShapeError(f"{self.model.name} does not take {spec.name} {tuple(value.shape)}")
            staged = self._staged_in.get(spec.name)
            if staged is None or staged.shape != value.shape:
                self._staged_in.pop(spec.name, None)
                staged = self._staged_in[spec.name] = self._pool.array(value.shape, spec.dtype)
            np.copyto(staged, value)
            self._place(spec.name, staged.nbytes)
        for spec in self.outputs:
            shape = tuple(self._context.get_tensor_shape(spec.name))
            self._staged_out[spec.name] = self._pool.array(shape, spec.dtype)
            self._place(spec.name, self._staged_out[spec.name].nbytes)

    def upload(self) -> None:
        for name, value in self._staged_in.items():
            self._device.upload(self._addresses[name], value)

    def enqueue(self) -> None:
        shapes = tuple(value.shape for value in self._staged_in.values())
        self._launcher.launch((self._profile, shapes, tuple(self._addresses.values())))

    def download(self) -> None:
        for name, value in self._staged_out.items():
            self._device.download(value, self._addresses[name])

    def wait(self) -> None:
        self._device.wait()

    def collect(self) -> Arrays:
        results, self._staged_out = self._staged_out, {}
        return results

    def mark(self) -> Timestamp:
        return self._device.mark()

    def device_memory(self) -> DeviceMemory:
        return self._device.memory()

    def layer_times(self, feeds: Feeds, runs: int) -> tuple[LayerTime, ...]:
        with self._guard:
            self.bind(feeds)
            self.upload()
            usual = self._context
            # A recorded graph has no layers to report, and a recording context none to be measured.
            self._context = make_context(self._trt, self._engine, self._sidecar, cuda_graph=False)
            try:
                self._apply()
                return measure_layers(self._trt, self._context, self._run_unrecorded, runs)
            finally:
                self._context = usual
                self._staged_out = {}

    def close(self) -> None:
        with self._guard:
            if self._context is None:
                return
            with suppress(EngineError):
                self._device.wait()
            self._launcher.close()
            if self._cache is not None:
                self._cache.close()
            # In this order: none may outlive what it was made by.
            self._context = None
            self._engine = None
            self._runtime = None
            self._staged_in, self._staged_out = {}, {}
            self._buffers.close()
            self._pool.close()
            self._device.close()

    @property
    def _addresses(self) -> dict[str, int]:
        staged = {**self._staged_in, **self._staged_out}
        return {name: self._buffers.address(name, value.nbytes) for name, value in staged.items()}

    def _deserialized(self, plan: bytes) -> Any:
        sidecar = self._sidecar
        with listening(self._trt) as messages:
            engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineError(
                f"TensorRT could not deserialise {sidecar.file} ({messages.last_error}): {rebuild_command(sidecar)}"
            )
        return engine

    def _runtime_cache(self, options: RunOptions) -> RuntimeCache:
        return RuntimeCache(
            runtime_cache_path(options.cache_dir, self._device, self._trt.__version__, self._sidecar.sha256)
        )

    def _start(self) -> None:
        with listening(self._trt) as messages:
            started = self._context.execute_async_v3(self._device.stream)
        if not started:
            raise EngineError(f"TensorRT failed to run {self.model.name} ({messages.last_error})")

    def _run_unrecorded(self) -> None:
        self._start()
        self.wait()

    def _apply(self) -> None:
        """Gives a new context the profile, shapes and addresses of the last one."""
        if self._profile:
            self._context.set_optimization_profile_async(self._profile, self._device.stream)
        for name, value in self._staged_in.items():
            self._context.set_input_shape(name, tuple(value.shape))
        for name, address in self._addresses.items():
            self._context.set_tensor_address(name, address)

    def _place(self, name: str, size: int) -> None:
        self._context.set_tensor_address(name, self._buffers.address(name, size))

    def _choose_profile(self, sides: tuple[int, int]) -> None:
        """Switches to the smallest profile that takes a picture of these sides."""
        fitting = [index for index, shape in enumerate(self.shapes) if shape.takes(sides)]
        if not fitting:
            takes = ", ".join(map(str, self.shapes))
            raise ShapeError(f"{self.model.name} takes pictures of {takes}, this one has {sides[0]}x{sides[1]}")
        best = min(fitting, key=lambda index: math.prod(self.shapes[index].max or sides))
        if best != self._profile:
            if not self._context.set_optimization_profile_async(best, self._device.stream):
                raise EngineError(f"TensorRT could not switch {self.model.name} to its profile for {self.shapes[best]}")
            self._profile = best


def _sides_of(spec: TensorSpec, value: NDArray[Any]) -> tuple[int, int]:
    """(height, width) of an input."""
    height, width = (value.shape[axis] for axis in spec.side_axes)
    return height, width
