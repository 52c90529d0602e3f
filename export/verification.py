"""Holds an exported graph to PyTorch on a real photo, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from efdn.assets import VERIFICATION_PHOTO
from efdn.errors import ParityError
from efdn.images import read_photo
from efdn.metrics import psnr
from engines.upscale import to_network
from export.precision import Precision

FP32_TOLERANCE = 1e-4
"""Largest difference from PyTorch, as a share of the data range."""

FP16_LEAST_PSNR = 65.0
"""In dB, of the float output against PyTorch in float32."""

FP16_MOST_GREY_LEVELS = 1
"""Largest difference once both are rounded to 8 bits."""

HALF_ARITHMETIC_SIDE = 48
"""Pixels a side for the check in true half arithmetic, which PyTorch runs slowly on the CPU."""

Output = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far a candidate's output is from the reference's.

    Attributes:
        max_error: largest absolute difference, as a share of the data range.
        mean_error: mean absolute difference, as a share of the data range.
        psnr_db: of the float outputs; infinite where they are equal.
        grey_levels: largest difference in 8 bits.
        differing_share: share of 8-bit values that differ.
        finite: whether all of the candidate's values are finite.
    """

    max_error: float
    mean_error: float
    psnr_db: float
    grey_levels: int
    differing_share: float
    finite: bool

    def __str__(self) -> str:
        if not self.finite:
            return "values that are not finite"
        return (
            f"max error {self.max_error:.2e} of range, PSNR {self.psnr_db:.1f} dB, "
            f"8-bit difference at most {self.grey_levels}, {self.differing_share:.4%} of values differ"
        )


def compare(reference: Output, candidate: Output, data_range: float) -> Parity:
    """Compares two outputs of one shape.

    Raises:
        ParityError: the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ParityError(f"expected an output of shape {reference.shape}, got {candidate.shape}")
    if not np.isfinite(candidate).all():
        nan = float("nan")
        return Parity(max_error=nan, mean_error=nan, psnr_db=nan, grey_levels=255, differing_share=1.0, finite=False)
    error = np.abs(candidate.astype(np.float64) - reference) / data_range
    levels = np.abs(_eight_bits(candidate, data_range) - _eight_bits(reference, data_range))
    return Parity(
        max_error=float(error.max()),
        mean_error=float(error.mean()),
        psnr_db=psnr(reference[0], candidate[0], data_range=data_range),
        grey_levels=int(levels.max()),
        differing_share=float((levels > 0).mean()),
        finite=True,
    )


def require(name: str, parity: Parity, precision: Precision) -> None:
    """Raises ParityError, naming the check and by how much it failed, unless the tolerances hold."""
    failures = []
    if not parity.finite:
        failures.append("values are not finite")
    elif precision is Precision.FP32:
        if parity.max_error > FP32_TOLERANCE:
            failures.append(f"max error {parity.max_error:.2e} of range, at most {FP32_TOLERANCE:.0e} allowed")
    else:
        if parity.psnr_db < FP16_LEAST_PSNR:
            failures.append(f"PSNR {parity.psnr_db:.1f} dB, at least {FP16_LEAST_PSNR:.0f} dB required")
        if parity.grey_levels > FP16_MOST_GREY_LEVELS:
            failures.append(f"8-bit difference {parity.grey_levels}, at most {FP16_MOST_GREY_LEVELS} allowed")
    if failures:
        remedy = "; export with --fp32" if precision is Precision.FP16 else ""
        raise ParityError(f"check '{name}' against PyTorch failed: {', '.join(failures)}{remedy}")


def run_network(network: nn.Module, x: Output) -> Output:
    """The output of a PyTorch network for a (1, 3, H, W) input, as float32."""
    like = next(network.parameters())
    with torch.inference_mode():
        output = network(torch.as_tensor(x).to(dtype=like.dtype, device=like.device))
    return output.float().cpu().numpy()  # type: ignore[no-any-return]


def verification_input(data_range: float, shape: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """The packaged photo as (1, 3, H, W); mirrored out or cropped where a shape is asked for."""
    pixels = read_photo(VERIFICATION_PHOTO, max_pixels=1 << 20).pixels
    if shape is not None:
        missing = [(0, max(0, wanted - side)) for wanted, side in zip(shape, pixels.shape[:2], strict=True)]
        pixels = np.pad(pixels, [*missing, (0, 0)], mode="symmetric")[: shape[0], : shape[1]]
    return to_network(pixels, data_range)


def as_figures(parity: Mapping[str, Parity]) -> dict[str, dict[str, float | bool | None]]:
    """Checks by name for JSON, which has no infinity: the PSNR of equal outputs becomes None."""
    return {
        name: {key: value if math.isfinite(value) else None for key, value in asdict(check).items()}
        for name, check in parity.items()
    }


def _eight_bits(output: Output, data_range: float) -> NDArray[np.float64]:
    return np.clip(np.rint(output.astype(np.float64) * (255 / data_range)), 0, 255)
