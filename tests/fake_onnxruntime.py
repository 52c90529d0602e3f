"""An ONNX Runtime with a GPU, for machines without: it repeats pixels, in memory that only its own calls reach."""

from __future__ import annotations

import time
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from engines.ort import CPU, CUDA, TENSORRT

SCALE = 4


class DeviceValue:
    """An OrtValue on the device."""

    def __init__(self, runtime: FakeOnnxRuntime, shape: tuple[int, ...], kind: type, device: str) -> None:
        assert device == "cuda"
        self.runtime = runtime
        self.data: np.ndarray = np.empty(shape, kind)
        runtime.allocated.append(shape)

    def update_inplace(self, array: np.ndarray) -> None:
        assert (array.shape, array.dtype) == (self.data.shape, self.data.dtype)
        self.runtime.calls.append("upload")
        self.data[...] = array

    def numpy(self) -> np.ndarray:
        self.runtime.calls.append("download")
        copied: np.ndarray = self.data.copy()
        return copied


class Binding:
    """An IOBinding, with memory for as many tensors as are bound."""

    def __init__(self, runtime: FakeOnnxRuntime) -> None:
        self.runtime = runtime
        self.inputs: dict[str, DeviceValue] = {}
        self.outputs: dict[str, DeviceValue] = {}

    def bind_ortvalue_input(self, name: str, value: DeviceValue) -> None:
        self.inputs[name] = value

    def bind_ortvalue_output(self, name: str, value: DeviceValue) -> None:
        self.outputs[name] = value

    def clear_binding_inputs(self) -> None:
        self.inputs.clear()

    def clear_binding_outputs(self) -> None:
        self.outputs.clear()

    def synchronize_inputs(self) -> None:
        self.runtime.calls.append("wait for inputs")

    def synchronize_outputs(self) -> None:
        self.runtime.calls.append("wait for outputs")


class Session:
    """An InferenceSession."""

    def __init__(self, runtime: FakeOnnxRuntime, settings: Any, providers: list[Any]) -> None:
        self.runtime = runtime
        runtime.sessions.append((settings, providers))
        if runtime.load_error is not None:
            raise RuntimeError(runtime.load_error)

    def get_providers(self) -> list[str]:
        return self.runtime.in_use

    def get_provider_graph_assignment_info(self) -> list[Any]:
        parts = [("Conv", provider) for provider, count in self.runtime.convolutions.items() for _ in range(count)]
        return [
            SimpleNamespace(ep_name=provider, get_nodes=lambda kind=kind: [SimpleNamespace(op_type=kind)])
            for kind, provider in [("Shape", CPU), *parts]
        ]

    def get_modelmeta(self) -> Any:
        return SimpleNamespace(custom_metadata_map={"scale": str(SCALE), "data_range": "255"})

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="input", type="tensor(float)", shape=["batch", 3, "height", "width"])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="output", type="tensor(float)", shape=["batch", 3, "height_x4", "width_x4"])]

    def io_binding(self) -> Binding:
        return Binding(self.runtime)

    def run_with_iobinding(self, binding: Binding) -> None:
        if self.runtime.run_error is not None:
            raise RuntimeError(self.runtime.run_error)
        self.runtime.calls.append("run")
        time.sleep(1e-3)  # Another thread may come in between here, as with a real one.
        x, y = binding.inputs["input"].data, binding.outputs["output"].data
        assert y.shape == (*x.shape[:2], SCALE * x.shape[2], SCALE * x.shape[3])
        y[...] = x.repeat(SCALE, axis=2).repeat(SCALE, axis=3)


class Settings:
    """SessionOptions."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


class FakeOnnxRuntime(ModuleType):
    """The module.

    Args:
        in_use: providers of every session, whatever was asked for.
        convolutions: how many run on each.
        available: providers that the build has.
    """

    SessionOptions = Settings

    def __init__(
        self,
        *in_use: str,
        convolutions: dict[str, int] | None = None,
        available: tuple[str, ...] = (TENSORRT, CUDA, CPU),
    ) -> None:
        super().__init__("onnxruntime")
        self.__version__ = "1.99.0"
        self.in_use = list(in_use)
        self.convolutions = {in_use[0]: 173} if convolutions is None else convolutions
        self.available = available
        self.load_error: str | None = None
        self.run_error: str | None = None
        self.calls: list[str] = []
        self.allocated: list[tuple[int, ...]] = []
        self.sessions: list[tuple[Settings, list[Any]]] = []
        self.OrtValue = SimpleNamespace(
            ortvalue_from_shape_and_type=lambda shape, kind, device, index: DeviceValue(self, shape, kind, device)
        )

    def InferenceSession(  # noqa: N802
        self, content: bytes, settings: Settings, *, providers: list[Any], enable_fallback: int
    ) -> Session:
        assert not enable_fallback
        return Session(self, settings, providers)

    def get_available_providers(self) -> list[str]:
        return list(self.available)
