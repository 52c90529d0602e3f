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

from efdn.architectures import find_architecture
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
from engines.trt.bound_context import BoundContext
from engines.trt.buffers import DeviceBuffers, PinnedPool
from engines.trt.contexts import make_context
from engines.trt.flavours import is_rtx
from engines.trt.layers import measure_layers
from engines.trt.log import listening, logger_of
from engines.trt.preflight import check_memory
from engines.trt.rebuild import rebuild_command
from engines.trt.runtime_cache import RuntimeCache, runtime_cache_path
from engines.trt.specs import tensor_spec

Feeds = Mapping[str, NDArray[Any]]

WITHOUT_GRAPH = "no CUDA graph"
"""In an engine's detail, where kernels were to be recorded and could not be."""


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
        self.guard = threading.Lock()
        self._runtime = trt.Runtime(logger_of(trt))
        self._engine = self._deserialized(plan)
        check_memory(device, self._engine, sidecar)
        self._cache = self._runtime_cache(options) if is_rtx(trt) else None
        context = make_context(trt, self._engine, sidecar, cuda_graph=options.cuda_graph, cache=self._cache)
        if self._cache is not None:
            self._cache.save()  # Now too: not every process that has opened an engine lives to close it.
        recording = options.cuda_graph and not is_rtx(trt)
        self._recording_missing = recording and not device.graphs
        self._bound = BoundContext(trt, context, device, sidecar.file, recording=recording and device.graphs)
        self._buffers, self._pool = DeviceBuffers(device), PinnedPool(device)
        self._closed = False
        self._staged_in: Arrays = {}
        self._staged_out: Arrays = {}
        self.model = ModelInfo(
            name=sidecar.file,
            scale=sidecar.scale,
            data_range=sidecar.data_range,
            smallest_side=find_architecture(sidecar.architecture).config.smallest_side,
        )
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
        if self._recording_missing or self._bound.gave_up_recording:
            parts.append(WITHOUT_GRAPH)
        return ", ".join(parts)

    def bind(self, feeds: Feeds) -> None:
        if self._closed:
            raise EngineError(f"{self.model.name} is closed: open it again")
        check_feeds(self.model.name, self.inputs, feeds)
        profile = self._profile_for(_sides_of(self.inputs[0], feeds[self.inputs[0].name]))
        self._bound.bind_shapes(profile, {spec.name: tuple(feeds[spec.name].shape) for spec in self.inputs})
        for spec in self.inputs:
            self._stage(spec, feeds[spec.name])
        for spec in self.outputs:
            self._staged_out[spec.name] = self._pool.array(self._bound.output_shape(spec.name), spec.dtype)
        self._bound.bind_addresses(self._addresses)

    def upload(self) -> None:
        for name, value in self._staged_in.items():
            self._device.upload(self._addresses[name], value)

    def enqueue(self) -> None:
        self._bound.launch()

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
        with self.guard:
            self.bind(feeds)
            self.upload()
            # A recorded graph has no layers to report, and a recording context none to be measured.
            check_memory(self._device, self._engine, self._sidecar)
            context = make_context(self._trt, self._engine, self._sidecar, cuda_graph=False)
            apart = BoundContext(self._trt, context, self._device, self.model.name)
            apart.bind_shapes(*self._bound.shapes)
            apart.bind_addresses(self._addresses)

            def run() -> None:
                apart.launch()
                self.wait()

            try:
                return measure_layers(self._trt, context, run, runs)
            finally:
                apart.close()
                self._staged_out = {}

    def close(self) -> None:
        with self.guard:
            if self._closed:
                return
            self._closed = True
            try:
                with suppress(EngineError):
                    self._device.wait()
                if self._cache is not None:
                    self._cache.save()
            finally:
                # In this order: none may outlive what it was made by.
                self._bound.close()
                self._cache = None
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

    def _stage(self, spec: TensorSpec, value: NDArray[Any]) -> None:
        """Copies an input to where the GPU fetches it by itself."""
        staged = self._staged_in.get(spec.name)
        if staged is None or staged.shape != value.shape:
            self._staged_in.pop(spec.name, None)
            staged = self._staged_in[spec.name] = self._pool.array(value.shape, spec.dtype)
        np.copyto(staged, value)

    def _profile_for(self, sides: tuple[int, int]) -> int:
        """The smallest profile that takes a picture of these sides."""
        fitting = [index for index, shape in enumerate(self.shapes) if shape.takes(sides)]
        if not fitting:
            takes = ", ".join(map(str, self.shapes))
            raise ShapeError(f"{self.model.name} takes pictures of {takes}, this one has {sides[0]}x{sides[1]}")
        return min(fitting, key=lambda index: math.prod(self.shapes[index].max or sides))


def _sides_of(spec: TensorSpec, value: NDArray[Any]) -> tuple[int, int]:
    """(height, width) of an input."""
    height, width = (value.shape[axis] for axis in spec.side_axes)
    return height, width
