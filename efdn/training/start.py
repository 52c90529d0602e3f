"""The network that a run starts with."""

from __future__ import annotations

from pathlib import Path

import torch

from efdn.config import EFDNConfig
from efdn.errors import TrainingError
from efdn.network import EFDN
from efdn.training.config import TrainingConfig
from efdn.training.learner import scale_to_unit_range
from efdn.weights import load_network


def starting_network(config: TrainingConfig, weights: Path | None) -> EFDN:
    """Fresh weights by the seed, or those of a file.

    A file of another scale gives all but its last convolution, which starts afresh.

    Args:
        config: the recipe.
        weights: of an EFDN, or None.

    Returns:
        A network on the CPU, on the 0..255 range.

    Raises:
        WeightsError: the file cannot be read or holds another network.
        TrainingError: the file's network is on another range.
    """
    given = None if weights is None else load_network(weights, EFDN)
    if given is not None and given.config.data_range != EFDNConfig().data_range:
        raise TrainingError(f"{weights} is on the 0..{given.config.data_range:g} range: expected weights on 0..255")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if given is None:
            network = EFDN(config.scale)
        else:
            shape = given.config
            network = EFDN(config.scale, shape.planes, shape.num_modules, shape.num_times)
    if config.unit_range:
        scale_to_unit_range(network)
    if given is not None:
        same_scale = given.config.upscale == config.scale
        taken = {k: v for k, v in given.state_dict().items() if same_scale or not k.startswith("tail.")}
        network.load_state_dict(taken, strict=same_scale)
    return network
