"""PyTorch, on the folded network: what runs weights files directly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from efdn.config import MIN_SIDE
from efdn.errors import EngineError
from efdn.extras import import_extra
from engines.protocol import INPUT, OUTPUT, Arrays, Dim, Engine, ModelInfo, TensorSpec

if TYPE_CHECKING:
    from torch import nn


def open_pytorch(model: Path) -> Engine:
    """Opens a weights file on CUDA where PyTorch has it, else on the CPU.

    Raises:
        WeightsError: the file is not a readable EFDN checkpoint.
        MissingExtraError: PyTorch is not installed.
    """
    torch = import_extra("torch", "export", "Running a weights file")
    from efdn.passes.pipeline import deploy_network
    from efdn.weights import load_network

    network = load_network(model)
    info = ModelInfo(name=model.name, scale=network.config.upscale, data_range=network.config.data_range)
    return PyTorchEngine(deploy_network(network), info, "cuda" if torch.cuda.is_available() else "cpu")


class PyTorchEngine(Engine):
    """A network in eager mode, float32.

    Args:
        network: maps (N, 3, H, W) to (N, 3, scale * H, scale * W); moved to the device.
        model: what it is.
        device: a torch device.
    """

    def __init__(self, network: nn.Module, model: ModelInfo, device: str) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        self.name = "pytorch"
        self.detail = f"PyTorch {torch.__version__}, {device}"
        self.model = model
        side, upscaled = Dim(MIN_SIDE, None), Dim(MIN_SIDE * model.scale, None)
        batch, channels = Dim(1, None), Dim(3, 3)
        self.inputs = (TensorSpec(name=INPUT, dtype="float32", dims=(batch, channels, side, side)),)
        self.outputs = (TensorSpec(name=OUTPUT, dtype="float32", dims=(batch, channels, upscaled, upscaled)),)

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        torch = self._torch
        try:
            # Float32 is to mean float32: cuDNN's default is TF32.
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                # Always a copy on the CPU too, so that the network never sees the caller's memory.
                x = torch.tensor(np.ascontiguousarray(feeds[INPUT]), device=self._device)
                return {OUTPUT: self._network(x).cpu().numpy()}
        except RuntimeError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise EngineError(f"PyTorch failed: {reason}") from error
