"""The architectures known here: how the weights of each are told from others, and where its code lives.

Nothing heavy is imported until a network is built, so that files can be looked at without PyTorch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from efdn.config import EFDNConfig, NetworkConfig
from efdn.errors import ArtefactError, ConfigError
from efdn.rfdn.config import RFDNConfig

Shapes = Mapping[str, tuple[int, ...]]
"""Of the tensors of a state dict, by plain name."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""What DistributedDataParallel, torch.compile and training frameworks put before the names of tensors."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture.

    Attributes:
        config: class of its hyper-parameters, which has its name and smallest side.
        marks: its first and last convolution's weights, (out, in, k, k): what it is told by.
        read_config: hyper-parameters by the shapes of a state dict that has the marks; raises ConfigError.
        network: "module:class" of the network, which has `from_config`.
        stages: "module:function" that takes a trained network and names of passes, and yields its deploy forms.
        passes: "module:function" that gives the names of a pipeline's passes; None where it has no passes.
    """

    config: type[NetworkConfig]
    marks: tuple[str, str]
    read_config: Callable[[Shapes], NetworkConfig]
    network: str
    stages: str
    passes: str | None = None

    @property
    def name(self) -> str:
        """Such as "EFDN"."""
        return self.config.architecture

    def marks_in(self, shapes: Shapes) -> bool:
        """Whether a state dict is taken for one of this architecture."""
        return all(len(shapes.get(mark, ())) == 4 for mark in self.marks)


def plain_name(key: str) -> str:
    """The name of a tensor without the prefixes of `PREFIXES`, however often they stand before it."""
    while prefix := next((prefix for prefix in PREFIXES if key.startswith(prefix)), None):
        key = key.removeprefix(prefix)
    return key


def imported(place: str) -> Any:
    """What "module:name" stands for."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def _scale_of(shapes: Shapes, key: str) -> int:
    """The magnification by the sub-pixels that the last convolution puts out."""
    outputs = shapes[key][0]
    scale = math.isqrt(max(outputs, 0) // 3)
    if scale == 0 or 3 * scale**2 != outputs:
        raise ConfigError(
            f"it has no whole scale: {key} has {outputs} outputs, "
            "expected 3 * scale * scale (12 for x2, 27 for x3, 48 for x4)"
        )
    return scale


def _count(shapes: Shapes, pattern: str) -> int:
    """How many blocks there are, by the numbers in their names."""
    return len({match[1] for name in shapes if (match := re.match(pattern, name))})


def _efdn_config(shapes: Shapes) -> EFDNConfig:
    planes, inputs = shapes["head.pw.weight"][:2]
    return EFDNConfig(
        upscale=_scale_of(shapes, "tail.0.weight"),
        planes=planes,
        num_modules=_count(shapes, r"body\.(\d+)\."),
        num_times=inputs // 3,
    )


def _rfdn_config(shapes: Shapes) -> RFDNConfig:
    return RFDNConfig(
        upscale=_scale_of(shapes, "upsampler.0.weight"),
        nf=shapes["fea_conv.weight"][0],
        num_modules=_count(shapes, r"B(\d+)\."),
    )


ARCHITECTURES = (
    Architecture(
        config=EFDNConfig,
        marks=("head.pw.weight", "tail.0.weight"),
        read_config=_efdn_config,
        network="efdn.network:EFDN",
        stages="efdn.passes.pipeline:deploy_stages",
        passes="efdn.passes.pipeline:pipeline_passes",
    ),
    Architecture(
        config=RFDNConfig,
        marks=("fea_conv.weight", "upsampler.0.weight"),
        read_config=_rfdn_config,
        network="efdn.rfdn.network:RFDN",
        stages="efdn.rfdn.folding:deploy_stages",
    ),
)


def recognise(shapes: Shapes) -> Architecture | None:
    """The architecture whose marks a state dict has; whether all else fits is not checked."""
    return next((entry for entry in ARCHITECTURES if entry.marks_in(shapes)), None)


def marks_text() -> str:
    """What each architecture is told by, in words."""
    return " or ".join(f"{' and '.join(entry.marks)} ({entry.name})" for entry in ARCHITECTURES)


def find_architecture(name: str) -> Architecture:
    """The entry of that name.

    Raises:
        ArtefactError: there is none.
    """
    for entry in ARCHITECTURES:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in ARCHITECTURES)
    raise ArtefactError(f"expected a network that this version knows ({known}), got {name!r}: update efdn")
