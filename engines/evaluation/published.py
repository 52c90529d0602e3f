"""What the challenge's log says of EFDN and RFDN.

Source: NTIRE 2023 Challenge on Efficient Super-Resolution, the log and the factsheet of
team FRL 04 (EFDN) and the organizers' baseline (RFDN). x4, PyTorch eager in FP32 on an
RTX 3090, one whole picture at a time; PSNR of RGB with a border of 4 pixels left out.
Counts are for a 3x256x256 LR picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOURCE = "NTIRE 2023 Efficient Super-Resolution: the challenge's log, PyTorch eager FP32, RTX 3090"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is counted rather than measured; see `efdn.complexity`.

    Attributes:
        parameters: learnable parameters.
        flops: multiply-adds for a 3x256x256 LR picture.
        activations: elements put out by all Conv2d layers for it.
        convolutions: number of Conv2d layers.
    """

    parameters: int
    flops: float
    activations: float
    convolutions: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of the challenge's table.

    Attributes:
        name: of the network.
        psnr_db: RGB, by set.
        counts: see there.
        memory_mb: of the GPU, the peak, on the same pictures.
        runtime_ms: mean over whole pictures of its first set, DIV2K validation, about 339x510 LR.
    """

    name: str
    psnr_db: Mapping[str, float]
    counts: Counts
    memory_mb: float
    runtime_ms: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "psnr_db": dict(self.psnr_db), "counts": self.counts.as_json()}


PUBLISHED = (
    Published(
        name="EFDN",
        psnr_db={"DIV2K valid": 28.97, "DIV2K+LSDIR test": 27.02},
        counts=Counts(parameters=173_478, flops=10.6015e9, activations=187.3225e6, convolutions=198),
        memory_mb=1266.92,
        runtime_ms=55.16,
    ),
    Published(
        name="RFDN",
        psnr_db={"DIV2K valid": 29.04},
        counts=Counts(parameters=433_448, flops=27.10e9, activations=112.0342e6, convolutions=64),
        memory_mb=788.0,
        runtime_ms=19.24,
    ),
)
