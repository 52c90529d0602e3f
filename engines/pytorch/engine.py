"""A PyTorch network as an engine, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EngineError
from engines.failures import run_error
from engines.feeds import check_feeds
from engines.graphs import threads_text
from engines.protocol import INPUT, OUTPUT, Arrays, Dim, Engine, LayerTime, ModelInfo, TensorSpec, shapes_of
from engines.pytorch.layers import ModuleClock

if TYPE_CHECKING:
    from torch import nn


class PyTorchEngine(Engine):
    """A network on the CPU. Calls from several threads are allowed.

    Args:
        name: of the engine.
        network: maps (N, 3, H, W) float32 to (N, 3, scale * H, scale * W) float32; moved to the device.
        model: what it is.
        detail: its form, for people.
        device: a torch device.
        tf32: whether convolutions on CUDA may round float32 inputs to ten bits, which is PyTorch's own default.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        model: ModelInfo,
        detail: str,
        device: str = "cpu",
        *,
        tf32: bool = False,
    ) -> None:
        import torch

        self._tf32 = tf32
        self._torch = torch
        self._device = torch.device(device)
        self._network: Any = network.to(self._device).eval()
        self.name = name
        where = threads_text(torch.get_num_threads()) if device == "cpu" else device
        self.detail = f"PyTorch {torch.__version__}, {where}, {detail}"
        self.model = model
        side, upscaled = Dim(model.smallest_side, None), Dim(model.smallest_side * model.scale, None)
        batch, channels = Dim(1, None), Dim(3, 3)
        self.inputs = (TensorSpec(name=INPUT, dtype="float32", dims=(batch, channels, side, side)),)
        self.outputs = (TensorSpec(name=OUTPUT, dtype="float32", dims=(batch, channels, upscaled, upscaled)),)
        self.shapes = shapes_of(self.inputs[0])

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        return {OUTPUT: self._run(self._tensor(feeds)).numpy()}

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        """Times of modules that hold no others; what the network does between them is in none of them.

        Compiled networks have no modules left to be told apart.
        """
        network = self._opened()
        x = self._tensor(feeds)
        if hasattr(network, "_orig_mod"):
            return ()
        # A copy: hooks in the network itself would be called by other threads too.
        from efdn.copying import copied

        watched = copied(network)
        self._run(x, watched)
        clock = ModuleClock(watched)
        for _ in range(runs):
            self._run(x, watched)
        return clock.times(runs)

    def close(self) -> None:
        self._network = None

    def _opened(self) -> Any:
        network = self._network
        if network is None:
            raise EngineError(f"{self.model.name} is closed: open it again")
        return network

    def _tensor(self, feeds: Mapping[str, NDArray[Any]]) -> Any:
        """The input on the device: always a copy, so that the network never sees the caller's memory."""
        self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        return self._torch.tensor(np.ascontiguousarray(feeds[INPUT]), device=self._device)

    def _run(self, x: Any, network: Any = None) -> Any:
        torch = self._torch
        chosen = self._opened() if network is None else network
        with telling(), torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=self._tf32):
            return chosen(x)


@contextmanager
def telling() -> Iterator[None]:
    """Tells PyTorch's errors as the engine's own."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise run_error(f"PyTorch failed: {reason[:300]}", reason) from error
