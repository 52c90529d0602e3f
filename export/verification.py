"""Holds an exported graph to PyTorch on a real photo, in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from efdn.assets import VERIFICATION_PHOTO
from efdn.errors import ParityError
from efdn.images import read_photo
from efdn.metrics import psnr
from efdn.upscaler import Upscaler
from engines.whole import to_network
from export.precision import Precision


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far an output may be from its reference; None where that is left open.

    Attributes:
        max_error: as a share of the data range.
        least_psnr_db: of the float outputs.
        grey_levels: in 8 bits.
        differing_share: of 8-bit values.
    """

    max_error: float | None = None
    least_psnr_db: float | None = None
    grey_levels: int | None = None
    differing_share: float | None = None

    def broken_by(self, parity: Parity) -> list[str]:
        """What a comparison breaks, in words."""
        if not parity.finite:
            return ["values are not finite"]
        found = []
        if self.max_error is not None and parity.max_error > self.max_error:
            found.append(f"max error {parity.max_error:.2e} of range, at most {self.max_error:.0e} allowed")
        if self.least_psnr_db is not None and parity.psnr_db < self.least_psnr_db:
            found.append(f"PSNR {parity.psnr_db:.1f} dB, at least {self.least_psnr_db:.0f} dB required")
        if self.grey_levels is not None and parity.grey_levels > self.grey_levels:
            found.append(f"8-bit difference {parity.grey_levels}, at most {self.grey_levels} allowed")
        if self.differing_share is not None and parity.differing_share > self.differing_share:
            found.append(f"{parity.differing_share:.2%} of values differ, at most {self.differing_share:.2%} allowed")
        return found


EXACT = Tolerance(max_error=1e-9)
"""Of a pass in float64, against the network before it."""

FLOATS = {
    Precision.FP32: Tolerance(max_error=1e-4),
    Precision.FP16: Tolerance(least_psnr_db=65, grey_levels=1),
    Precision.BF16: Tolerance(least_psnr_db=45, grey_levels=6),
}
"""Of float outputs, against PyTorch in FP32."""

PROBES = {**FLOATS, Precision.FP16: Tolerance(least_psnr_db=55, grey_levels=2)}
"""Of float outputs on the pictures of a report, some of which are made to bring errors out."""

PICTURES = {
    Precision.FP32: Tolerance(grey_levels=1, differing_share=0.001),
    Precision.FP16: Tolerance(grey_levels=1, differing_share=0.1),
    Precision.BF16: Tolerance(grey_levels=6, differing_share=0.5),
}
"""Of 8-bit outputs, against what PyTorch in FP32 gives after rounding."""

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
        finite: whether all values, of the reference too, are finite.
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
    if not (np.isfinite(candidate).all() and np.isfinite(reference).all()):
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


def require(name: str, parity: Parity, tolerance: Tolerance, remedy: str = "") -> None:
    """Raises ParityError, naming the check and by how much it failed, unless the tolerance holds."""
    broken = tolerance.broken_by(parity)
    if broken:
        raise ParityError(f"check '{name}' failed: {', '.join(broken)}{remedy}")


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets PyTorch use one thread: on small pictures more cost more than they bring, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_network(network: Upscaler, x: Output, data_range: float) -> Output:
    """The output of a PyTorch network in its own precision.

    Args:
        network: a training or deploy form, whatever range it was made for.
        x: (1, 3, H, W) in 0..data_range.
        data_range: of input and output.
    """
    like = next(network.parameters())
    own = network.data_range
    with torch.inference_mode():
        output = network(torch.as_tensor(x).to(dtype=like.dtype, device=like.device) * (own / data_range))
    return (output * (data_range / own)).cpu().numpy()  # type: ignore[no-any-return]


def rounded(output: Output, data_range: float) -> Output:
    """An output as it is after rounding to 8 bits."""
    return _eight_bits(output, data_range) * (data_range / 255)


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
