"""What every network here is, whatever its architecture and form."""

from __future__ import annotations

from torch import Tensor, nn

from efdn.config import EFDNConfig, NetworkConfig
from efdn.errors import ShapeError


class Upscaler(nn.Module):
    """Base of all networks, trained and deployed.

    Maps RGB (N, 3, H, W), float, 0..`data_range`, H and W at least `config.smallest_side`, to
    (N, 3, upscale * H, upscale * W), float, nominally 0..`data_range`, not clamped.

    Args:
        config: hyper-parameters, which say the architecture too.

    Attributes:
        config: as given.
        data_range: value of white at input and output; passes may have changed it from that of `config`.
    """

    config: NetworkConfig

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.data_range = config.data_range

    def published_form(self) -> Upscaler:
        """The same network in eval mode, computing as its published code does; itself where it does so anyway."""
        return self.eval()


def check_input(x: Tensor, config: type[NetworkConfig] = EFDNConfig) -> None:
    """Raises ShapeError unless x is (N, 3, H, W) with sides that networks of such a config take."""
    least = config.smallest_side
    if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[-2:]) < least:
        raise ShapeError(
            f"{config.architecture} takes (N, 3, H, W) with H and W of at least {least}, got {tuple(x.shape)}: "
            "pad smaller pictures"
        )
