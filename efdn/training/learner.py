"""A network that learns: parameters, optimiser, average, and one step."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efdn.network import EFDN
from efdn.training.average import Average
from efdn.training.checkpoint import Checkpoint
from efdn.training.config import Phase, TrainingConfig
from efdn.training.distributed import Team
from efdn.training.fast_form import FastForm
from efdn.training.losses import LOSSES

AMP_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Step(NamedTuple):
    """What came of a step, on the device: scalars."""

    loss: Tensor
    squared_error: Tensor
    gradient_norm: Tensor


class Learner:
    """Everything that a step changes.

    Args:
        network: to train, on the 0..255 range; moved to the team's device.
        config: the recipe.
        team: the processes at work.

    Attributes:
        network: as given.
        average: of its weights, or None.
    """

    def __init__(self, network: EFDN, config: TrainingConfig, team: Team) -> None:
        self.config, self.team = config, team
        layout = torch.channels_last if config.channels_last else torch.preserve_format
        self.network = network.to(team.device, memory_format=layout)  # type: ignore[call-overload]
        form: nn.Module = FastForm(self.network).to(team.device) if config.fast_form else self.network
        wrapped = team.wrap(form)
        self._forward = torch.compile(wrapped) if config.compile else wrapped
        self._groups = _rate_groups(self.network, config)
        self._optimizer = torch.optim.Adam(self._groups, lr=config.learning_rate, betas=config.betas, fused=True)
        self._scaler = torch.amp.GradScaler(team.device.type, enabled=config.amp == "fp16")
        self.average = None if config.ema is None else Average(self.network, config.ema)

    @property
    def result(self) -> EFDN:
        """The network to keep: the average, or the network itself where there is none."""
        return self.network if self.average is None else cast(EFDN, self.average.network)

    def step(self, lr: NDArray[np.uint8], hr: NDArray[np.uint8], phase: Phase, *, rate: float, number: int) -> Step:
        """One step of training.

        Args:
            lr: (N, h, w, 3).
            hr: (N, scale * h, scale * w, 3).
            phase: loss and norms.
            rate: learning rate.
            number: of the step, counted from one.
        """
        self._set_norms(phase)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        x, target = self._tensor(lr), self._tensor(hr)
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.team.device.type, AMP_DTYPES.get(self.config.amp), enabled=self.config.amp != "none"):
            output = self._forward(x)
        output = output.float()
        loss = LOSSES[phase.loss](output, target)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        norm = self._clip()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self.average is not None:
            self.average.update(self.network, number)
        error = (output.detach() - target).square().mean()
        return Step(loss.detach(), error, norm)

    def state(self) -> dict[str, Any]:
        """Weights, average, optimiser and scaler, as `Checkpoint` has them."""
        return {
            "params": self.network.state_dict(),
            "params_ema": None if self.average is None else self.average.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes up the state of a checkpoint of the same recipe."""
        self.network.load_state_dict(checkpoint.params)
        if self.average is not None and checkpoint.params_ema is not None:
            self.average.network.load_state_dict(checkpoint.params_ema)
        self._optimizer.load_state_dict(dict(checkpoint.optimizer))
        self._scaler.load_state_dict(dict(checkpoint.scaler))

    def _set_norms(self, phase: Phase) -> None:
        self.network.train()
        if phase.norms == "frozen":
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(N, H, W, 3) bytes as (N, 3, H, W) floats on the device, bytes travelling."""
        moved = torch.from_numpy(pixels).to(self.team.device, non_blocking=True).permute(0, 3, 1, 2).float()
        return moved.contiguous(
            memory_format=torch.channels_last if self.config.channels_last else torch.contiguous_format
        )

    def _clip(self) -> Tensor:
        """Length of the gradient, as on the 0..1 range where steps are; shortened in place to the limit."""
        gradients, factors = [], []
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                gradients.append(parameter.grad)
                factors.append(group["factor"])
        lengths = torch.stack(torch._foreach_norm(gradients))
        norm: Tensor = torch.linalg.vector_norm(lengths * torch.tensor(factors, device=lengths.device))
        if self.config.clip_norm is not None:
            torch._foreach_mul_(gradients, (self.config.clip_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm


def _rate_groups(network: EFDN, config: TrainingConfig) -> list[dict[str, object]]:
    """Parameters by how their learning rate has to be multiplied; see `TrainingConfig.unit_range`."""
    white = network.config.data_range if config.unit_range else 1.0
    head: list[nn.Parameter] = [cast(nn.Parameter, network.head.pw.weight)]
    tail = list(network.tail.parameters())
    special = {id(parameter) for parameter in (*head, *tail)}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in special]
    groups = ((rest, 1.0), (head, 1 / white), (tail, white))
    return [{"params": parameters, "factor": factor} for parameters, factor in groups]


@torch.no_grad()
def scale_to_unit_range(network: EFDN) -> None:
    """Makes fresh weights those of a network on 0..1 in all but its first and last convolution."""
    network.head.pw.weight.div_(network.config.data_range)
    for parameter in network.tail.parameters():
        parameter.mul_(network.config.data_range)
