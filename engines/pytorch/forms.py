"""Forms of networks that engines are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def in_half(network: nn.Module) -> nn.Module:
    """A network in float16, from float32 to float32."""
    from torch import Tensor, nn

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.half()

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x.half()).float()  # type: ignore[no-any-return]

    return Half()


def in_channels_last(network: nn.Module) -> nn.Module:
    """A network whose maps lie in memory channels last; input and output stay as they were."""
    import torch
    from torch import Tensor, nn

    class ChannelsLast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
            return result.contiguous()

    return ChannelsLast()
