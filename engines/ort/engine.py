"""ONNX Runtime as an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from efdn.errors import EngineError, ShapeError
from engines.failures import run_error
from engines.feeds import check_feeds
from engines.graphs import first_line, model_info, tensor_spec, threads_of
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.ort.providers import CPU, Provider, name_of
from engines.ort.runtime import Graph, detail_of, load_onnxruntime, open_session
from engines.protocol import Arrays, Engine, LayerTime, TensorSpec, shapes_of

DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class OnnxRuntimeEngine(Engine):
    """One session. Calls from several threads are allowed, as ONNX Runtime allows them.

    Args:
        name: of the engine.
        content: the ONNX file.
        model_name: for people.
        providers: in order; the first must do the work.
        options: how it is to run.

    Raises:
        ModelFileError: not a readable ONNX file of this toolkit.
        EngineError: the first provider cannot be used.
    """

    def __init__(
        self,
        name: str,
        content: bytes,
        model_name: str,
        providers: tuple[Provider, ...],
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._ort = load_onnxruntime("cpu")
        self._graph = Graph(content=content, model_name=model_name, providers=providers, threads=threads_of(options))
        session = open_session(self._ort, self._graph)
        self._session: Any = session
        self.name = name
        self.detail = detail_of(self._ort, providers, self._graph.threads)
        self.model = model_info(session.get_modelmeta().custom_metadata_map, model_name)
        least, scale = self.model.smallest_side, self.model.scale
        self.inputs = tuple(_spec(value, least) for value in session.get_inputs())
        self.outputs = tuple(_spec(value, scale * least) for value in session.get_outputs())
        self.shapes = shapes_of(self.inputs[0])

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        session = self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        names = [spec.name for spec in self.outputs]
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except Exception as error:
            raise self._failure(feeds, error) from error

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        if name_of(self._graph.providers[0]) != CPU:
            return ()  # What ONNX Runtime tells of a GPU's nodes is how long they took to start.
        from engines.ort.profile import profile_nodes

        return profile_nodes(self._ort, self._graph, feeds, runs)

    def close(self) -> None:
        self._session = None

    def _opened(self) -> Any:
        """The session. Held by the caller, it outlives a close by another thread."""
        session = self._session
        if session is None:
            raise EngineError(f"{self.model.name} is closed: open it again")
        return session

    def _failure(self, feeds: Mapping[str, NDArray[Any]], error: Exception) -> ShapeError | EngineError:
        """What went wrong in a run."""
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in feeds.items())
        if "INVALID_ARGUMENT" in str(error):
            return ShapeError(f"{self.model.name} does not take {shapes}: {first_line(error)}")
        return run_error(f"ONNX Runtime failed on {shapes}: {first_line(error)}", str(error))


def _spec(value: Any, smallest_side: int) -> TensorSpec:
    return tensor_spec(value.name, DTYPES.get(value.type, value.type), value.shape, smallest_side)
