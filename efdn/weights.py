"""Reading and writing the weights of a network.

Two forms are read: published checkpoints (a PyTorch file holding a state dict,
bare or under a usual key, on the 0..255 range) and this project's own
(safetensors, hyper-parameters in its metadata). Hyper-parameters are read off the
file, never asked for, and no pickled code is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from efdn.config import EFDNConfig
from efdn.errors import ConfigError, MissingExtraError, WeightsError
from efdn.files import reason_of, staged
from efdn.network import EFDN

WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
"""Keys under which checkpoints keep their state dict, in order of preference."""

PUBLISHED_DATA_RANGE = 255.0
SAFETENSORS_ARCHITECTURE = "EFDN"
MOST_NAMES = 4

StateDict = dict[str, Tensor]


def load_network(path: Path) -> EFDN:
    """Reads a network from a weights file.

    Args:
        path: `.safetensors` in this project's form, or a published checkpoint.

    Returns:
        The network in float32 on the CPU, in eval mode.

    Raises:
        WeightsError: the file is missing, broken, or of another network.
    """
    state, metadata = _read(path)
    config = _config_of(state, metadata, path)
    network = EFDN.from_config(config)
    _check_fit(state, network, path)
    network.load_state_dict(state, strict=False)
    return network.float().eval()


def save_network(network: EFDN, path: Path) -> None:
    """Writes a network in this project's form, whole or not at all.

    Args:
        network: its weights and running statistics are written as float32.
        path: target, `.safetensors`.

    Raises:
        OutputError: the target cannot be written.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise MissingExtraError("safetensors", "export", "Writing weights") from error
    config = network.config
    metadata = {
        "architecture": SAFETENSORS_ARCHITECTURE,
        "scale": str(config.upscale),
        "planes": str(config.planes),
        "blocks": str(config.num_modules),
        "input_repeats": str(config.num_times),
        "data_range": f"{config.data_range:.15g}",
    }
    state = {
        key: value.detach().float().cpu().contiguous()
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    with staged(path) as temporary:
        temporary.write_bytes(save(state, metadata=metadata))


def _read(path: Path) -> tuple[StateDict, dict[str, str]]:
    """The state dict of a file and, for safetensors, its metadata."""
    if not path.exists():
        raise WeightsError(f"no weights at {path}: expected a .safetensors file or a published .pth checkpoint")
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: expected a .safetensors file or a published .pth checkpoint")
    try:
        if path.suffix.lower() == ".safetensors":
            return _read_safetensors(path)
        return _unwrap(torch.load(path, map_location="cpu", weights_only=True), path), {}
    except (WeightsError, MissingExtraError, MemoryError):
        raise
    except PermissionError as error:
        raise WeightsError(f"cannot read {path}: {reason_of(error)}") from error
    except Exception as error:  # Both readers raise many kinds: pickle, zip, JSON and runtime errors among them.
        raise WeightsError(
            f"{path} is not a readable weights file (broken, or holding pickled code, which is never run): "
            "expected safetensors or a state dict saved by torch.save"
        ) from error


def _read_safetensors(path: Path) -> tuple[StateDict, dict[str, str]]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise MissingExtraError("safetensors", "export", f"Reading {path.name}") from error
    with safe_open(path, framework="pt") as file:
        keys = file.keys()
        return {key: file.get_tensor(key) for key in keys}, file.metadata() or {}


def _unwrap(content: Any, path: Path) -> StateDict:
    """The state dict inside a checkpoint, without the prefix that DistributedDataParallel leaves."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no state dict: expected tensors by name, bare or under one of {WRAPPERS}")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _config_of(state: StateDict, metadata: Mapping[str, str], path: Path) -> EFDNConfig:
    """Hyper-parameters from the shapes; the metadata must agree where it speaks."""
    head, tail = state.get("head.pw.weight"), state.get("tail.0.weight")
    if head is None or tail is None or head.ndim != 4 or tail.ndim != 4:
        raise WeightsError(
            f"{path} is not an EFDN checkpoint: expected head.pw.weight and tail.0.weight among its keys, "
            f"got {len(state)} others such as {_some(state)}"
        )
    blocks = {int(match[1]) for key in state if (match := re.match(r"body\.(\d+)\.", key))}
    upscale = round((tail.shape[0] / 3) ** 0.5)
    if 3 * upscale**2 != tail.shape[0]:
        raise WeightsError(
            f"{path} has no whole scale: tail.0.weight has {tail.shape[0]} outputs, "
            "expected 3 * scale * scale (12 for x2, 27 for x3, 48 for x4)"
        )
    found = {"scale": upscale, "planes": head.shape[0], "blocks": len(blocks), "input_repeats": head.shape[1] // 3}
    for name, value in found.items():
        if name in metadata and metadata[name] != str(value):
            raise WeightsError(f"{path}: metadata says {name} {metadata[name]}, its tensors say {value}")
    try:
        return EFDNConfig(
            upscale=upscale,
            planes=found["planes"],
            num_modules=found["blocks"],
            num_times=found["input_repeats"],
            data_range=float(metadata.get("data_range", PUBLISHED_DATA_RANGE)),
        )
    except (ConfigError, ValueError) as error:
        raise WeightsError(f"{path} is not an EFDN checkpoint: {error}") from error


def _check_fit(state: StateDict, network: EFDN, path: Path) -> None:
    """Raises WeightsError unless every tensor is there, none is left over, and all have the right shape."""
    # How many batches a norm has seen is of no use after training, and our own files leave it out.
    expected = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    problems = []
    if missing := expected.keys() - given.keys():
        problems.append(f"{len(missing)} missing keys ({_some(missing)})")
    if unexpected := given.keys() - expected.keys():
        problems.append(f"{len(unexpected)} unexpected keys ({_some(unexpected)})")
    misshapen = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & given.keys())
        if given[key].shape != expected[key].shape
    ]
    if misshapen:
        problems.append(f"{len(misshapen)} wrong shapes ({_some(misshapen)})")
    if problems:
        raise WeightsError(f"{path} is not a checkpoint of this network: {'; '.join(problems)}")
    bad = [key for key, value in given.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise WeightsError(f"{path} has values that are not finite in {len(bad)} tensors ({_some(bad)})")


def _some(names: Any) -> str:
    """The first few names, and that there are more."""
    ordered = sorted(names)
    return ", ".join(ordered[:MOST_NAMES]) + (", ..." if len(ordered) > MOST_NAMES else "")
