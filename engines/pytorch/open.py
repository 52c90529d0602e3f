"""Opens weights files with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from efdn.errors import EngineError
from efdn.extras import import_extra
from engines.cores import usable_cores
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Engine, ModelInfo
from engines.pytorch.cuda import PyTorchCudaEngine
from engines.pytorch.engine import PyTorchEngine
from engines.pytorch.forms import in_channels_last, in_half

if TYPE_CHECKING:
    from torch import nn

    from efdn.upscaler import Upscaler


def open_pytorch(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """Opens a weights file on CUDA where PyTorch has it, else on the CPU, norms folded, float32.

    Raises:
        WeightsError: the file cannot be read, or is of no network known here.
        MissingExtraError: PyTorch is not installed.
    """
    _torch(options)
    from efdn.deployment import deployed_form

    return _opened("pytorch", model, "folded", deployed_form)


def open_published(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The network as the published code computes it: eager, true float32, nothing folded, mixing as a convolution.

    Raises:
        WeightsError: as above.
        MissingExtraError: as above.
    """
    _torch(options)
    return _opened("pytorch-published", model, "published form", _published)


def open_published_channels_last(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The published form with its maps channels last in memory, which PyTorch advises for convolutions on the CPU.

    Raises:
        WeightsError: as above.
        MissingExtraError: as above.
    """
    _torch(options)
    return _opened(
        "pytorch-published-channels-last",
        model,
        "published form, channels last",
        lambda network: in_channels_last(network.published_form()),
    )


def open_published_tf32(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The published form in float32 with TF32 convolutions, as PyTorch runs it unless told otherwise. Needs CUDA.

    Raises:
        EngineError: PyTorch has no CUDA here.
        WeightsError: as above.
        MissingExtraError: as above.
    """
    _require_cuda(_torch(options), "TF32 is for CUDA alone")
    return _opened("pytorch-published-tf32", model, "published form, TF32", _published, tf32=True)


def open_published_half(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The published form in float16; input and output stay float32. Needs CUDA.

    Raises:
        EngineError: PyTorch has no CUDA here.
        WeightsError: as above.
        MissingExtraError: as above.
    """
    _require_cuda(_torch(options), "no float16 worth timing on a CPU")
    return _opened(
        "pytorch-published-fp16", model, "published form, float16", lambda network: in_half(network.published_form())
    )


def open_compiled(model: Path, options: RunOptions = DEFAULT_OPTIONS) -> Engine:
    """The published form through `torch.compile`, which compiles anew for a first and again for a second shape.

    Raises:
        EngineError: `torch.compile` does not work here; it needs a C++ compiler, on CUDA Triton.
        WeightsError: as above.
        MissingExtraError: as above.
    """
    torch = _torch(options)

    def compiled(network: Upscaler) -> nn.Module:
        module: nn.Module = torch.compile(network.published_form())
        return module

    return _opened("pytorch-compiled", model, "published form, torch.compile", compiled)


def _torch(options: RunOptions) -> Any:
    torch = import_extra("torch", "export", "Running a weights file")
    threads = options.threads or min(_usual_threads(), usable_cores())
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    return torch


@cache
def _usual_threads() -> int:
    """PyTorch's own number, before an engine has changed it: of the process, one for each physical core."""
    import torch

    return torch.get_num_threads()


def _require_cuda(torch: Any, why: str) -> None:
    if not torch.cuda.is_available():
        raise EngineError(f"PyTorch has no CUDA here, and {why}: this engine is for machines with an NVIDIA GPU")


def _published(network: Upscaler) -> nn.Module:
    return network.published_form()


def _opened(
    name: str, model: Path, detail: str, form: Callable[[Upscaler], nn.Module], *, tf32: bool = False
) -> Engine:
    import torch

    from efdn.weights import load_network

    network = load_network(model)
    config = network.config
    info = ModelInfo(
        name=model.name,
        scale=config.upscale,
        data_range=config.data_range,
        smallest_side=config.smallest_side,
    )
    if torch.cuda.is_available():
        return PyTorchCudaEngine(name, form(network), info, detail, "cuda", tf32=tf32)
    return PyTorchEngine(name, form(network), info, detail)
