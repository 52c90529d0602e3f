"""Several processes on one run, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from efdn.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of a run.

    Attributes:
        rank: of this one, 0 the first.
        size: how many there are.
        device: of this one.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module, with its gradients averaged over all processes."""
        if self.size == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def mean(self, value: Tensor) -> Tensor:
        """Average of a tensor over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def agree(self, *values: float) -> tuple[float, ...]:
        """The first process's values, in all: clocks and signals differ, schedules must not."""
        if self.size == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return tuple(shared.tolist())


@contextmanager
def team(device: str | None = None) -> Iterator[Team]:
    """Joins the processes that torchrun has started; one alone otherwise.

    Args:
        device: "cpu", "cuda" or "cuda:N"; CUDA where there is a GPU if not given.

    Raises:
        TrainingError: the device is not there.
    """
    size, rank, local = (int(os.environ.get(name, default)) for name, default in _VARIABLES)
    wanted = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise TrainingError("no GPU that PyTorch can use: give --device cpu, or install a CUDA build of PyTorch")
    if size > 1 and wanted.startswith("cuda:"):
        raise TrainingError(
            f"--device {wanted} would be shared by {size} processes: give --device cuda, one GPU for each"
        )
    try:
        own = torch.device(f"cuda:{local}" if wanted == "cuda" else wanted)
        if own.type == "cuda":
            torch.cuda.set_device(own)
    except RuntimeError as error:
        raise TrainingError(
            f"no device {wanted}: expected cpu, cuda or cuda:N with N of a GPU that is there"
        ) from error
    if own.type not in ("cpu", "cuda"):
        raise TrainingError(f"no training on {wanted}: expected cpu, cuda or cuda:N")
    if size == 1:
        yield Team(rank=0, size=1, device=own)
        return
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Team(rank=rank, size=size, device=own)
    finally:
        dist.destroy_process_group()


_VARIABLES = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
