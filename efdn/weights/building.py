"""From a state dict to its network, or to a clear list of what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch.overrides import TorchFunctionMode

from efdn.architectures import ARCHITECTURES, Architecture, imported, marks_text, recognise
from efdn.config import NetworkConfig
from efdn.errors import ConfigError, WeightsError
from efdn.upscaler import Upscaler
from efdn.weights.state_dict import COUNTERS, StateDict, counted, some


def build_network(state: StateDict, metadata: Mapping[str, str], path: Path) -> Upscaler:
    """The network of a state dict.

    Args:
        state: plain names, float32.
        metadata: of the file; what it says must agree with the tensors. Without a data range, 255 is taken.
        path: where both come from, for errors.

    Returns:
        The network in float32 on the CPU, in eval mode.

    Raises:
        WeightsError: no known network, or tensors that do not fit it.
    """
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    architecture = recognise(shapes)
    if architecture is None:
        raise WeightsError(
            f"{path} is of no network known here: expected {marks_text()}, "
            f"got {counted(len(state), 'other tensor')}, first {some(state)}"
        )
    try:
        config = architecture.read_config(shapes)
        _check_metadata(config, metadata, path)
        config = replace(config, data_range=float(metadata.get("data_range", config.data_range)))
    except (ConfigError, ValueError) as error:
        raise WeightsError(f"{path} looks like {architecture.name}, but {error}") from error
    return _filled(architecture, config, state, path)


def _check_metadata(config: NetworkConfig, metadata: Mapping[str, str], path: Path) -> None:
    found = {name: str(size) for name, size in config.sizes.items()}
    # Other tools mean other things by an architecture's name: only names from here can contradict.
    if metadata.get("architecture") in {entry.name for entry in ARCHITECTURES}:
        found["architecture"] = config.architecture
    for name, value in found.items():
        if metadata.get(name, value) != value:
            raise WeightsError(f"{path}: metadata says {name} {metadata[name]}, its tensors say {value}")


def _filled(architecture: Architecture, config: NetworkConfig, state: StateDict, path: Path) -> Upscaler:
    # Without memory: what a hostile file only claims to hold is found out before it is asked for.
    with _NoInitialisation(), torch.device("meta"):
        network = cast(Upscaler, imported(architecture.network).from_config(config))
    problems = _misfits(state, network)
    if problems:
        raise WeightsError(
            f"{path} was taken for {config}, by {' and '.join(architecture.marks)}, "
            f"and does not fit: {'; '.join(problems)}"
        )
    if bad := [name for name, value in state.items() if not bool(torch.isfinite(value).all())]:
        raise WeightsError(f"{path} has values that are not finite in {counted(len(bad), 'tensor')} ({some(bad)})")
    network.load_state_dict({**_counters(network), **state}, assign=True)
    return network.eval()


def _misfits(state: StateDict, network: Upscaler) -> list[str]:
    """What is missing, left over or misshapen: numbers of all, and the first names."""
    expected = {name: value for name, value in network.state_dict().items() if not name.endswith(COUNTERS)}
    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"{counted(len(missing), 'missing key')} ({some(missing)})")
    if unexpected := [name for name in state if name not in expected]:
        problems.append(f"{counted(len(unexpected), 'unexpected key')} ({some(unexpected)})")
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    if misshapen:
        problems.append(f"{counted(len(misshapen), 'wrong shape')} ({some(misshapen)})")
    return problems


def _counters(network: Upscaler) -> StateDict:
    """The counters of a network, at zero."""
    return {
        name: torch.zeros(value.shape, dtype=value.dtype)
        for name, value in network.state_dict().items()
        if name.endswith(COUNTERS)
    }


class _NoInitialisation(TorchFunctionMode):
    """Leaves out the drawing of first values, which without memory still takes most of the time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", None) == torch.nn.init.__name__:
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
