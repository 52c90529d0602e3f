"""PyTorch: the folded network, which is what runs weights files directly, and the published forms to compare with."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from efdn.config import MIN_SIDE
from efdn.errors import EngineError
from efdn.extras import import_extra
from engines.feeds import check_feeds
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import (
    INPUT,
    OUTPUT,
    Arrays,
    DeviceMemory,
    Dim,
    Engine,
    LayerTime,
    ModelInfo,
    StagedEngine,
    TensorSpec,
    Timestamp,
    shapes_of,
)

if TYPE_CHECKING:
    from torch import nn

    from efdn.network import EFDN


def open_pytorch(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens a weights file on CUDA where PyTorch has it, else on the CPU, norms folded, float32.

    Raises:
        WeightsError: the file is not a readable EFDN checkpoint.
        MissingExtraError: PyTorch is not installed.
    """
    _torch(options)
    from efdn.passes.pipeline import deploy_network

    return _opened("pytorch", model, "folded", deploy_network)


def open_published(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The network as its authors run it: eager, float32, nothing folded, mixing as a depthwise convolution.

    Raises:
        WeightsError: as above.
        MissingExtraError: as above.
    """
    _torch(options)
    return _opened("pytorch-published", model, "published form", published_form)


def open_published_half(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The published form in float16; input and output stay float32. Needs CUDA.

    Raises:
        EngineError: PyTorch has no CUDA here.
        WeightsError: as above.
        MissingExtraError: as above.
    """
    torch = _torch(options)
    if not torch.cuda.is_available():
        raise EngineError("PyTorch has no CUDA here, and no float16 worth timing on a CPU: leave this engine out")

    return _opened(
        "pytorch-published-fp16", model, "published form, float16", lambda network: _half(published_form(network))
    )


def open_compiled(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The published form through `torch.compile`, which compiles anew for a first and again for a second shape.

    Raises:
        EngineError: `torch.compile` does not work here; it needs a C++ compiler, on CUDA Triton.
        WeightsError: as above.
        MissingExtraError: as above.
    """
    torch = _torch(options)

    def compiled(network: EFDN) -> nn.Module:
        module: nn.Module = torch.compile(published_form(network))
        return module

    return _opened("pytorch-compiled", model, "published form, torch.compile", compiled)


def published_form(network: EFDN) -> EFDN:
    """The same network with its mixing as the published code computes it."""
    from efdn.mixing import mix_pixels_published
    from efdn.network import EFDN

    published = EFDN.from_config(network.config, mix=mix_pixels_published)
    published.load_state_dict(network.state_dict())
    return published.eval()


class PyTorchEngine(Engine):
    """A network on the CPU. Calls from several threads are allowed.

    Args:
        name: of the engine.
        network: maps (N, 3, H, W) float32 to (N, 3, scale * H, scale * W) float32; moved to the device.
        model: what it is.
        detail: its form, for people.
        device: a torch device.
    """

    def __init__(self, name: str, network: nn.Module, model: ModelInfo, detail: str, device: str = "cpu") -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._network: Any = network.to(self._device).eval()
        self.name = name
        self.detail = f"PyTorch {torch.__version__}, {device}, {detail}"
        self.model = model
        side, upscaled = Dim(MIN_SIDE, None), Dim(MIN_SIDE * model.scale, None)
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
        watched = copy.deepcopy(network)
        self._run(x, watched)
        clock = _ModuleClock(watched)
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
        try:
            # Float32 is to mean float32: cuDNN's default is TF32.
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                return chosen(x)
        except RuntimeError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise EngineError(f"PyTorch failed: {reason[:300]}") from error


class PyTorchCudaEngine(PyTorchEngine, StagedEngine):
    """A network on the first CUDA device, on PyTorch's own stream."""

    _pinned: Any = None
    _x: Any = None
    _y: Any = None
    _result: Any = None

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        return {OUTPUT: self._run(self._tensor(feeds)).cpu().numpy()}

    def layer_times(self, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
        return ()  # The host's clock sees modules start, not run.

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        self._opened()
        check_feeds(self.model.name, self.inputs, feeds)
        self._pinned = self._torch.tensor(np.ascontiguousarray(feeds[INPUT])).pin_memory()

    def upload(self) -> None:
        self._x = self._pinned.to(self._device, non_blocking=True)

    def enqueue(self) -> None:
        self._y = self._run(self._x)

    def download(self) -> None:
        torch, shape = self._torch, self._y.shape
        if self._result is None or self._result.shape != shape:
            self._result = torch.empty(shape, dtype=self._y.dtype, pin_memory=True)
        self._result.copy_(self._y, non_blocking=True)

    def wait(self) -> None:
        self._torch.cuda.current_stream().synchronize()

    def collect(self) -> Arrays:
        return {OUTPUT: self._result.numpy().copy()}

    def mark(self) -> Timestamp:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return _Event(event)

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory(*self._torch.cuda.mem_get_info())

    def close(self) -> None:
        super().close()
        self._pinned = self._x = self._y = self._result = None


class _Event(Timestamp):
    def __init__(self, event: Any) -> None:
        self._event = event

    def ms_since(self, earlier: Timestamp) -> float:
        assert isinstance(earlier, _Event)
        return float(earlier._event.elapsed_time(self._event))


class _ModuleClock:
    """Adds up the time that a network's innermost modules take.

    Args:
        network: gets hooks, for good.
    """

    def __init__(self, network: nn.Module) -> None:
        self._seconds: dict[str, float] = {}
        self._kinds: dict[str, str] = {}
        self._started = 0.0
        for name, module in network.named_modules():
            if next(module.children(), None) is None:
                self._kinds[name] = type(module).__name__
                module.register_forward_pre_hook(self._start)
                module.register_forward_hook(self._stop_of(name))

    def times(self, runs: int) -> tuple[LayerTime, ...]:
        """Means over so many runs, in the order in which modules were first called."""
        return tuple(
            LayerTime(name=name, kind=self._kinds[name], ms=seconds * 1e3 / runs)
            for name, seconds in self._seconds.items()
        )

    def _start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def _stop_of(self, name: str) -> Callable[..., None]:
        def stop(*_: Any) -> None:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - self._started

        return stop


def _torch(options: RunOptions) -> Any:
    torch = import_extra("torch", "export", "Running a weights file")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return torch


def _opened(name: str, model: Path, detail: str, form: Callable[[EFDN], nn.Module]) -> Engine:
    import torch

    from efdn.weights import load_network

    network = load_network(model)
    info = ModelInfo(name=model.name, scale=network.config.upscale, data_range=network.config.data_range)
    if torch.cuda.is_available():
        return PyTorchCudaEngine(name, form(network), info, detail, "cuda")
    return PyTorchEngine(name, form(network), info, detail)


def _half(network: nn.Module) -> nn.Module:
    """A network in float16, from float32 to float32."""
    from torch import Tensor, nn

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.half()

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x.half()).float()  # type: ignore[no-any-return]

    return Half()
