"""From what a file holds to one state dict with plain names and float32 values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from efdn.architectures import plain_name
from efdn.errors import WeightsError
from efdn.inspection.details import printable

WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
"""Keys under which checkpoints keep their state dict, in order of preference."""

COUNTERS = ("num_batches_tracked", "n_averaged")
"""Ends of names of what is counted in training, by norms and by averages of weights, and is of no use after it."""

MOST_NESTED = 8
MOST_NAMES = 4

StateDict = dict[str, Tensor]


def plain_state_dict(content: Any, path: Path) -> StateDict:
    """The state dict inside what a file holds.

    Args:
        content: tensors by name, bare or under one or several keys of `WRAPPERS`.
        path: where it comes from, for errors.

    Returns:
        Tensors by name, without counters, prefixes of training frameworks taken off, float32 on the CPU, each
        with memory of its own.

    Raises:
        WeightsError: there is no state dict, or one with values that are no weights, or with a name twice.
    """
    state: StateDict = {}
    for key, value in _unwrapped(content, path).items():
        name = plain_name(str(key))
        if name.endswith(COUNTERS):
            continue
        if name in state:
            raise WeightsError(f"{path} has {printable(name)} twice, once as {printable(str(key))}: save one network")
        state[name] = value
    if odd := [name for name, value in state.items() if not _has_values(value)]:
        raise WeightsError(
            f"{path} has {counted(len(odd), 'tensor')} without plain float values ({some(odd)}): "
            "expected float32, float16 or bfloat16"
        )
    # Copies: tensors of a file may share memory, those of a network must not.
    return {
        name: value.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _unwrapped(content: Any, path: Path) -> Mapping[Any, Tensor]:
    for _ in range(MOST_NESTED):
        inner = _inner(content)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        found = f"a dict of {some(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
        raise WeightsError(
            f"{path} holds no state dict: expected tensors by name, bare or under one of {', '.join(WRAPPERS)}, "
            f"got {found}"
        )
    return content


def _inner(content: Any) -> Mapping[Any, Any] | None:
    """What lies under the first wrapper that there is; an empty one is none."""
    if not isinstance(content, Mapping):
        return None
    return next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping) and content[key]), None)


def _has_values(value: Tensor) -> bool:
    """Whether a tensor holds plain numbers, one for each element, rather than a few that it claims to be many."""
    if not (value.is_floating_point() and value.layout is torch.strided and value.device.type == "cpu"):
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def counted(count: int, noun: str) -> str:
    """A number and its noun: "1 tensor", "2 tensors"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def some(names: Iterable[str]) -> str:
    """The first few names, and that there are more."""
    first = [printable(name) for name in names]
    return ", ".join(first[:MOST_NAMES]) + (", ..." if len(first) > MOST_NAMES else "")
