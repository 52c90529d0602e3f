"""An execution context with the shapes and addresses that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from efdn.errors import EngineError, ShapeError
from engines.cuda.device import CudaDevice
from engines.trt.launcher import Launcher
from engines.trt.log import listening

Shape = tuple[int, ...]


class BoundContext:
    """Tells a context what has changed and nothing else, and starts it.

    Args:
        trt: the TensorRT module.
        context: of that module.
        device: where it runs.
        model_name: for people.
        recording: whether kernels are to be recorded, and started together from then on.
    """

    def __init__(
        self, trt: ModuleType, context: Any, device: CudaDevice, model_name: str, *, recording: bool = False
    ) -> None:
        self.context, self._trt, self._device, self._model_name = context, trt, device, model_name
        self._launcher = Launcher(device, self._start, recording=recording)
        self._profile = 0
        self._shapes: dict[str, Shape] = {}
        self._addresses: dict[str, int] = {}

    @property
    def gave_up_recording(self) -> bool:
        """Whether kernels were to be recorded, and cannot be."""
        return self._launcher.gave_up

    def bind_shapes(self, profile: int, shapes: Mapping[str, Shape]) -> None:
        """Sets the profile and the shapes of the inputs.

        Raises:
            EngineError: TensorRT cannot switch to the profile.
            ShapeError: TensorRT does not take a shape.
        """
        if (profile, shapes) == (self._profile, self._shapes):
            return
        self._launcher.reset()
        self._shapes = {}
        if profile != self._profile:
            if not self.context.set_optimization_profile_async(profile, self._device.stream):
                raise EngineError(f"TensorRT could not switch {self._model_name} to its profile {profile}")
            self._profile = profile
        for name, shape in shapes.items():
            if not self.context.set_input_shape(name, shape):
                raise ShapeError(f"{self._model_name} does not take {name} {shape}")
        self._shapes = dict(shapes)

    @property
    def shapes(self) -> tuple[int, dict[str, Shape]]:
        """The profile and the shapes bound."""
        return self._profile, dict(self._shapes)

    def output_shape(self, name: str) -> Shape:
        """Of an output, for the inputs bound."""
        return tuple(self.context.get_tensor_shape(name))

    def bind_addresses(self, addresses: Mapping[str, int]) -> None:
        """Sets where tensors are.

        Raises:
            EngineError: TensorRT does not take an address.
        """
        for name, address in addresses.items():
            if self._addresses.get(name) == address:
                continue
            self._launcher.reset()
            if not self.context.set_tensor_address(name, address):
                raise EngineError(f"TensorRT does not take the address of {name} of {self._model_name}")
            self._addresses[name] = address

    def launch(self) -> None:
        """Starts the network on what is bound.

        Raises:
            EngineError: TensorRT refused.
        """
        self._launcher.launch()

    def close(self) -> None:
        """Lets go of the recording, then of the context."""
        with suppress(EngineError):  # A GPU that has failed frees by itself.
            self._launcher.reset()
        self.context = None

    def _start(self) -> None:
        with listening(self._trt) as messages:
            started = self.context.execute_async_v3(self._device.stream)
        if not started:
            raise EngineError(f"TensorRT failed to run {self._model_name} ({messages.last_error})")
