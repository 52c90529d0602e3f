"""How PSNR and SSIM are computed: what evaluation codes agree on, and where they differ.

All of them take 8-bit RGB pictures, leave a border out, take PSNR over all that is
left (of RGB over its three channels together), SSIM with a Gaussian window of 11x11
where it fits whole (of RGB the mean over channels), and average both over pictures.

challenge: the headline is RGB, as in the NTIRE challenges. Y, 16..235, is not rounded.
matlab: the headline is Y, as in papers. It is rounded to 8 bits before anything is
    computed on it, which is what `rgb2ycbcr` does to 8-bit pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from efdn.metrics import luma, psnr, ssim
from engines.whole import Pixels

CHALLENGE_BORDER = 4


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One way of measuring.

    Attributes:
        name: what users type.
        headline: the figure that is quoted.
        rounds_y: whether Y is rounded to 8 bits.
    """

    name: str
    headline: Literal["rgb", "y"]
    rounds_y: bool

    def y(self, rgb: Pixels) -> NDArray[np.float64]:
        """Y of (H, W, 3) uint8, as (H, W) float64 in 16..235."""
        # MATLAB rounds halves away from zero, NumPy's rint to even numbers.
        return np.floor(luma(rgb) + 0.5) if self.rounds_y else luma(rgb)


CONVENTIONS = {
    "challenge": Convention(name="challenge", headline="rgb", rounds_y=False),
    "matlab": Convention(name="matlab", headline="y", rounds_y=True),
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near a picture is to its original, or the mean over pictures.

    Attributes:
        rgb_psnr_db: infinite for equal pictures.
        rgb_ssim: at most 1.
        y_psnr_db: likewise, on Y.
        y_ssim: likewise, on Y.
    """

    rgb_psnr_db: float
    rgb_ssim: float
    y_psnr_db: float
    y_ssim: float

    def headline(self, convention: Convention) -> tuple[float, float]:
        """(PSNR in dB, SSIM) that the convention quotes."""
        if convention.headline == "rgb":
            return self.rgb_psnr_db, self.rgb_ssim
        return self.y_psnr_db, self.y_ssim

    def as_json(self) -> dict[str, Any]:
        """Plain values; None for an infinite PSNR, which JSON cannot hold."""
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}


def score(hr: Pixels, candidate: Pixels, convention: Convention, border: int) -> Score:
    """Measures a picture against its original.

    Args:
        hr: (H, W, 3) uint8, RGB.
        candidate: same shape.
        convention: how.
        border: pixels left out on each side.

    Raises:
        ShapeError: the shapes differ, or less than a window of SSIM is left.
    """
    y_hr, y_candidate = convention.y(hr), convention.y(candidate)
    # One channel at a time: equal to SSIM of all three, in half the time.
    channels = [ssim(hr[..., index], candidate[..., index], border=border) for index in range(3)]
    return Score(
        rgb_psnr_db=psnr(hr, candidate, border=border),
        rgb_ssim=float(np.mean(channels)),
        y_psnr_db=psnr(y_hr, y_candidate, border=border),
        y_ssim=ssim(y_hr, y_candidate, border=border),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """Each figure's mean."""
    return Score(**{name: float(np.mean([vars(entry)[name] for entry in scores])) for name in vars(scores[0])})
