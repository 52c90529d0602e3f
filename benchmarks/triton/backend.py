"""A backend for Triton in Python that stands in for its own `onnxruntime` backend, on the CPU.

Triton's wheels hold the server and the backend that runs Python, and no other. Put as
`backends/onnxruntime/model.py`, this file is taken for every model whose configuration
says `backend: "onnxruntime"`; checks of shapes, batches and warm-ups are the server's own.
Runs in Triton's processes, where nothing of this project is installed.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class TritonPythonModel:
    """One instance of a model; the names are those that Triton asks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the model file that the configuration names."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        threads = config["parameters"].get("intra_op_thread_count")
        options.intra_op_num_threads = int(threads["string_value"]) if threads else 0
        path = Path(args["model_repository"]) / args["model_version"] / config["default_model_filename"]
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input, self._output = config["input"][0]["name"], config["output"][0]["name"]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Runs all requests of a batch as one."""
        triton = import_module("triton_python_backend_utils")
        arrays = [triton.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        try:
            results = self._session.run([self._output], {self._input: np.concatenate(arrays)})[0]
        except Exception as error:
            failure = triton.TritonError(str(error))
            return [triton.InferenceResponse(error=failure) for _ in requests]
        ends = np.cumsum([len(array) for array in arrays])[:-1]
        parts = np.split(results, ends)
        return [triton.InferenceResponse([triton.Tensor(self._output, part)]) for part in parts]
