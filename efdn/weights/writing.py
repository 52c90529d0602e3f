"""From a network to a weights file."""

from __future__ import annotations

from pathlib import Path

from efdn.architectures import find_architecture, imported
from efdn.errors import ConfigError, MissingExtraError
from efdn.files import staged
from efdn.upscaler import Upscaler
from efdn.weights.state_dict import COUNTERS


def save_network(network: Upscaler, path: Path) -> None:
    """Writes a network in this project's form, whole or not at all.

    Args:
        network: in training form; its weights and running statistics are written as float32.
        path: target, `.safetensors`.

    Raises:
        ConfigError: the network is in deploy form, which cannot be told from the other when it is read.
        OutputError: the target cannot be written.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise MissingExtraError("safetensors", "export", "Writing weights") from error
    config = network.config
    trained = imported(find_architecture(config.architecture).network)
    if type(network) is not trained:
        raise ConfigError(f"weights are saved in training form, {trained.__name__}, got {type(network).__name__}")
    metadata = {
        "architecture": config.architecture,
        **{name: str(size) for name, size in config.sizes.items()},
        "data_range": f"{config.data_range:.15g}",
    }
    state = {
        key: value.detach().float().cpu().contiguous()
        for key, value in network.state_dict().items()
        if not key.endswith(COUNTERS)
    }
    with staged(path) as temporary:
        temporary.write_bytes(save(state, metadata=metadata))
