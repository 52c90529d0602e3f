"""OpenVINO on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError
from efdn.files import read_bytes
from engines.cores import allowed_cores
from engines.failures import run_error
from engines.feeds import check_feeds
from engines.graphs import model_info, onnx_details, tensor_spec, threads_of, threads_text
from engines.openvino.runtime import load_openvino, openvino_core
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Arrays, Engine, LayerTime, shapes_of

PLACES = ("Exception from", "Check '", "FrontEnd API failed")
"""How the lines of an error begin that say where it was raised."""


def open_openvino(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens an ONNX file on the CPU, on as many threads as there are cores, float32 whatever its own type.

    Raises:
        ModelFileError: not a readable ONNX file of this toolkit.
        MissingExtraError: OpenVINO is not installed.
    """
    return OpenVinoEngine(read_bytes(model), model.name, options)


class OpenVinoEngine(Engine):
    """One compiled model with one request, for which calls from several threads wait: each run has all threads.

    The compiled model is kept for the next start, see `engines.openvino.cache`: compiling takes most of the time
    to the first picture.

    Args:
        content: the ONNX file.
        model_name: for people.
        options: how it is to run.

    Raises:
        ModelFileError: not a readable ONNX file of this toolkit.
        MissingExtraError: OpenVINO is not installed.
        EngineError: OpenVINO does not load, or does not take the graph.
    """

    name = "openvino"

    def __init__(self, content: bytes, model_name: str, options: RunOptions = DEFAULT_OPTIONS) -> None:
        self._openvino = load_openvino()
        details = onnx_details(content, model_name)
        self.model = model_info(details.metadata, model_name)
        least, scale = self.model.smallest_side, self.model.scale
        self.inputs = tuple(tensor_spec(entry.name, entry.dtype, entry.shape or (), least) for entry in details.inputs)
        self.outputs = tuple(
            tensor_spec(entry.name, entry.dtype, entry.shape or (), scale * least) for entry in details.outputs
        )
        self.shapes = shapes_of(self.inputs[0])
        threads = threads_of(options)
        self.detail = f"OpenVINO {self._openvino.__version__.split('-')[0]}, {threads_text(threads)}"
        self._guard = threading.Lock()
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",  # Its own choice is bfloat16 where the processor has it.
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        if threads < allowed_cores():
            # It binds threads to cores from the first on, and so do others beside it that have as few.
            self._settings["ENABLE_CPU_PINNING"] = False
        self._core = openvino_core()
        self._content = content
        self._request: Any = self._cached_request(options.cache_dir)

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        self._check(feeds)
        with self._guard:
            # Checked again: another thread may have closed it meanwhile.
            self._check(feeds)
            return self._run(self._request, feeds)

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        """Times of OpenVINO's own nodes, into which it has merged some of the graph's."""
        self._check(feeds)
        request = self._compile(PERF_COUNT=True).create_infer_request()
        self._run(request, feeds)
        kinds: dict[str, str] = {}
        totals: dict[str, float] = {}
        for _ in range(runs):
            self._run(request, feeds)
            for entry in request.get_profiling_info():
                if entry.status == entry.Status.EXECUTED:
                    kinds[entry.node_name] = entry.node_type
                    totals[entry.node_name] = totals.get(entry.node_name, 0.0) + entry.real_time.total_seconds()
        return tuple(LayerTime(name=name, kind=kinds[name], ms=total * 1e3 / runs) for name, total in totals.items())

    def close(self) -> None:
        with self._guard:
            self._request = None

    def _check(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        if self._request is None:
            raise EngineError(f"{self.model.name} is closed: open it again")
        check_feeds(self.model.name, self.inputs, feeds)

    def _cached_request(self, folder: Path | None) -> Any:
        """A request of the model as it was compiled at an earlier start, or is compiled now."""
        from engines.openvino.cache import compiled_cache

        processor = f"{self._property('FULL_DEVICE_NAME')} {' '.join(self._property('OPTIMIZATION_CAPABILITIES'))}"
        cache = compiled_cache(self._content, self._openvino.get_version(), processor, self._settings, folder)
        known = cache.load()
        if known is not None:
            with suppress(RuntimeError):  # Refused: it is compiled anew, and replaced.
                return self._core.import_model(known, "CPU", self._settings).create_infer_request()
        compiled = self._compile()
        with suppress(RuntimeError):
            cache.save(compiled.export_model().getvalue())
        return compiled.create_infer_request()

    def _property(self, name: str) -> Any:
        try:
            return self._core.get_property("CPU", name)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot use the processor: {_reason(error)}") from error

    def _compile(self, **settings: Any) -> Any:
        try:
            graph = self._core.read_model(self._content)
        except RuntimeError as error:
            # Not the file's fault for all that is known: it was read before, and others may take its operators.
            raise EngineError(f"OpenVINO cannot load {self.model.name}: {_reason(error)}") from error
        from engines.openvino.order import tie_sums

        try:
            tie_sums(self._openvino, graph)
            return self._core.compile_model(graph, "CPU", {**self._settings, **settings})
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile {self.model.name}: {_reason(error)}") from error

    def _run(self, request: Any, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        contiguous = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        try:
            # Copies on both sides: nothing here sees the caller's memory later, nor the caller the request's.
            results = request.infer(contiguous, share_inputs=False, share_outputs=False)
        except RuntimeError as error:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in feeds.items())
            raise run_error(f"OpenVINO failed on {shapes}: {_reason(error)}", str(error)) from error
        return {spec.name: results[spec.name] for spec in self.outputs}


def _reason(error: RuntimeError) -> str:
    """What was wrong, without where in OpenVINO's sources it was found."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if not line.startswith(PLACES))[:300].strip() or type(error).__name__
