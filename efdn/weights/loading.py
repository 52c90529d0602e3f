"""From a weights file to a network."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, overload

from efdn.errors import WeightsError
from efdn.upscaler import Upscaler
from efdn.weights.building import build_network
from efdn.weights.reading import read_weights
from efdn.weights.state_dict import plain_state_dict

N = TypeVar("N", bound=Upscaler)


@overload
def load_network(path: Path) -> Upscaler: ...


@overload
def load_network(path: Path, kind: type[N]) -> N: ...


def load_network(path: Path, kind: type[Upscaler] = Upscaler) -> Upscaler:
    """Reads a network from a weights file.

    Args:
        path: `.safetensors`, of this project or of other tools, or a published checkpoint.
        kind: class that the network must have, such as `EFDN`; any architecture is taken without.

    Returns:
        The network in float32 on the CPU, in eval mode.

    Raises:
        WeightsError: the file is missing, broken, or of another network.
    """
    content, metadata = read_weights(path)
    network = build_network(plain_state_dict(content, path), metadata, path)
    if not isinstance(network, kind):
        raise WeightsError(f"{path} holds {network.config}: expected weights of {kind.__name__}")
    return network
