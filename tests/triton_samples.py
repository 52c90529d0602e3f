"""Model configurations as Triton's own classes read them, and a server that honours them as Triton does."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.conftest import EXAMPLES

DTYPES = {"TYPE_UINT8": ("UINT8", np.uint8)}


def parsed(text: str) -> Any:
    """A `config.pbtxt` as Triton's schema has it; fields that it does not have are errors."""
    schema = needed("tritonclient.grpc.model_config_pb2")
    return needed("google.protobuf.text_format").Parse(text, schema.ModelConfig())


def needed(module: str) -> Any:
    """A module that comes with Triton's client; tests are skipped without."""
    return pytest.importorskip(module, reason="needs Triton's client: pip install '.[dev-serve]'")


def client() -> ModuleType:
    """The example `triton_client.py` as a module."""
    needed("tritonclient.grpc")
    spec = importlib.util.spec_from_file_location("triton_client", EXAMPLES / "triton_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FakeModel:
    """A model of a repository, run by ONNX Runtime, its requests held to its configuration.

    Args:
        folder: of the model, as in the repository.
    """

    def __init__(self, folder: Path) -> None:
        self.config = parsed((folder / "config.pbtxt").read_text(encoding="utf-8"))
        self.shapes: list[tuple[int, ...]] = []
        path = folder / "1" / self.config.default_model_filename
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def shape(self, tensor: Any) -> list[int]:
        """Of an input or output in requests: with the batch in front where Triton counts it."""
        return [-1, *tensor.dims] if self.config.max_batch_size else list(tensor.dims)

    def answer(self, request: Any) -> Any:
        """What the model makes of a request.

        Raises:
            ValueError: in Triton's words, more or less: the request does not fit the configuration.
        """
        (tensor,), (source,), (result,) = request.inputs, self.config.input, self.config.output
        kind, dtype = DTYPES[_type_name(source)]
        if (tensor.name, tensor.datatype) != (source.name, kind):
            raise ValueError(f"expected {source.name} of {kind}, got {tensor.name} of {tensor.datatype}")
        wanted, got = self.shape(source), list(tensor.shape)
        if self.config.max_batch_size and not 1 <= got[0] <= self.config.max_batch_size:
            raise ValueError(f"inference request batch-size must be <= {self.config.max_batch_size}")
        if len(wanted) != len(got) or any(-1 != side != size for side, size in zip(wanted, got, strict=True)):
            raise ValueError(f"unexpected shape for input '{source.name}': expected {wanted}, got {got}")
        pixels = np.frombuffer(request.raw_input_contents[0], dtype).reshape(got)
        self.shapes.append(pixels.shape)
        return self._session.run([result.name], {source.name: pixels})[0]


@contextmanager
def served(repository: Path) -> Iterator[tuple[str, dict[str, FakeModel]]]:
    """Serves the ONNX models of a repository by Triton's gRPC protocol; yields its address and the models."""
    grpc, service_pb2 = needed("grpc"), needed("tritonclient.grpc.service_pb2")
    service_pb2_grpc = needed("tritonclient.grpc.service_pb2_grpc")
    base: Any = service_pb2_grpc.GRPCInferenceServiceServicer
    models = {folder.name: FakeModel(folder) for folder in repository.iterdir() if folder.is_dir()}

    class Service(base):  # type: ignore[misc]
        def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
            model = found(request.name, context)
            ends = {
                end: [
                    {"name": tensor.name, "datatype": DTYPES[_type_name(tensor)][0], "shape": model.shape(tensor)}
                    for tensor in tensors
                ]
                for end, tensors in (("inputs", model.config.input), ("outputs", model.config.output))
            }
            return service_pb2.ModelMetadataResponse(name=request.name, versions=["1"], **ends)

        def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
            model = found(request.model_name, context)
            try:
                result = model.answer(request)
            except ValueError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            output = {"name": model.config.output[0].name, "datatype": "UINT8", "shape": result.shape}
            return service_pb2.ModelInferResponse(
                model_name=request.model_name, outputs=[output], raw_output_contents=[result.tobytes()]
            )

    def found(name: str, context: Any) -> FakeModel:
        if name not in models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return models[name]

    server = grpc.server(ThreadPoolExecutor(1))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", models
    finally:
        server.stop(None).wait()


def _type_name(tensor: Any) -> str:
    return str(needed("tritonclient.grpc.model_config_pb2").DataType.Name(tensor.data_type))
