"""ONNX Runtime on a GPU, its run taken apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EfdnError, EngineError, MissingExtraError
from engines.cuda.device import CudaDevice
from engines.cuda.open import open_device
from engines.feeds import check_feeds
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.ort.engine import OnnxRuntimeEngine
from engines.ort.providers import Provider
from engines.protocol import Arrays, DeviceMemory, StagedEngine, TensorSpec, Timestamp

DEVICE = "cuda"
"""As ONNX Runtime calls the memory of an NVIDIA GPU, whichever of its providers works on it."""


class OnnxRuntimeGpuEngine(OnnxRuntimeEngine, StagedEngine):
    """A session whose inputs and outputs lie on the first GPU. Calls of `infer` by several threads wait for each other.

    ONNX Runtime gives no events of its stream, and its copies and runs return once the device
    is done. So points in time are the host's, taken when nothing is under way: `enqueue` is as
    long as the network takes, not as long as starting it does. Copies are from and to pageable memory.

    Buffers on the GPU are kept for calls of the same shape, which recorded CUDA graphs rely on.

    Args:
        name: of the engine.
        content: the ONNX file.
        model_name: for people.
        providers: in order; the first, CUDA or TensorRT, must do the work.
        options: how it is to run.
    """

    def __init__(
        self,
        name: str,
        content: bytes,
        model_name: str,
        providers: tuple[Provider, ...],
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> None:
        super().__init__(name, content, model_name, providers, options)
        self.guard = threading.Lock()
        self._cuda_provider = options.cuda_provider
        self._device: CudaDevice | None = None
        self._binding: Any = self._session.io_binding()
        self._values: dict[str, tuple[tuple[int, ...], Any]] = {}
        self._feeds: Arrays = {}
        self._results: Arrays = {}

    infer = StagedEngine.infer

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        # ONNX Runtime fetches them from there, and `upload` returns once it has.
        self._feeds = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        with self._telling():
            inputs = {spec.name: self._feeds[spec.name].shape for spec in self.inputs}
            shapes = {**inputs, **{spec.name: self._output_shape(spec) for spec in self.outputs}}
            if {name: shape for name, (shape, _) in self._values.items()} != shapes:
                self._place(shapes)

    def upload(self) -> None:
        with self._telling():
            for name, value in self._feeds.items():
                self._values[name][1].update_inplace(value)

    def enqueue(self) -> None:
        session = self._opened()
        with self._telling():
            session.run_with_iobinding(self._binding)

    def download(self) -> None:
        with self._telling():
            self._results = {spec.name: self._values[spec.name][1].numpy() for spec in self.outputs}

    def wait(self) -> None:
        with self._telling():
            self._binding.synchronize_inputs()
            self._binding.synchronize_outputs()

    def collect(self) -> Arrays:
        results, self._results = self._results, {}
        return results

    def mark(self) -> Timestamp:
        self.wait()
        return HostTime()

    def device_memory(self) -> DeviceMemory:
        """What the GPU has and has left, asked of CUDA, since ONNX Runtime does not tell.

        Raises:
            MissingExtraError: CUDA's bindings are not installed; the extra that brings ONNX Runtime for GPUs does.
        """
        if self._device is None:
            try:
                self._device = open_device(self._cuda_provider)
            except MissingExtraError as error:
                raise MissingExtraError(error.package, error.extra, "Reading the GPU's memory") from error
        return self._device.memory()

    def close(self) -> None:
        with self.guard:
            self._binding, self._values, self._feeds, self._results = None, {}, {}, {}
            super().close()
            if self._device is not None:
                self._device.close()
                self._device = None

    def _place(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Binds memory of these shapes. What was bound is given back first, by the binding too: both may not fit."""
        self._values.clear()
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        ends = [(self.inputs, self._binding.bind_ortvalue_input), (self.outputs, self._binding.bind_ortvalue_output)]
        for specs, bind in ends:
            for spec in specs:
                kind, shape = np.dtype(spec.dtype).type, shapes[spec.name]
                value = self._ort.OrtValue.ortvalue_from_shape_and_type(shape, kind, DEVICE, 0)
                bind(spec.name, value)
                self._values[spec.name] = (shape, value)

    def _output_shape(self, spec: TensorSpec) -> tuple[int, ...]:
        source = self.inputs[0]
        shape = self._feeds[source.name].shape
        height, width = (self.model.scale * shape[axis] for axis in source.side_axes)
        return (shape[0], height, width, 3) if spec.picture else (shape[0], 3, height, width)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tells ONNX Runtime's errors as the engine's own."""
        if self._binding is None:
            raise EngineError(f"{self.model.name} is closed: open it again")
        try:
            yield
        except EfdnError:
            raise
        except Exception as error:
            raise self._failure(self._feeds, error) from error


class HostTime(Timestamp):
    """A point in time on the host's clock."""

    def __init__(self) -> None:
        self._seconds = time.perf_counter()

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, HostTime)
        return (self._seconds - earlier._seconds) * 1e3
