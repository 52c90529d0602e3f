"""Forms of the network that engines are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from efdn.network import EFDN


def published_form(network: EFDN) -> EFDN:
    """The same network with its mixing as the published code computes it."""
    from efdn.mixing import mix_pixels_published
    from efdn.network import EFDN

    published = EFDN.from_config(network.config, mix=mix_pixels_published)
    published.load_state_dict(network.state_dict())
    return published.eval()


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
