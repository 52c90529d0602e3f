"""Statistics of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import floor
from statistics import fmean, median, pstdev
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Samples in figures, in their unit.

    Attributes:
        count: how many samples.
        min: the smallest.
        mean: arithmetic.
        median: the middle.
        p90: nine in ten are no larger; see `percentile`.
        p95: likewise.
        p99: likewise.
        max: the largest.
        cv: coefficient of variation: standard deviation over mean, 0.1 being 10 %.
    """

    count: int
    min: float
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    max: float
    cv: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def percentile(samples: Sequence[float], share: float) -> float:
    """The value that a share of the samples, 0..1, does not exceed.

    Between two samples it is interpolated linearly, with the smallest at 0 and the
    largest at 1: definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical
    Packages", 1996, and NumPy's default.
    """
    ordered = sorted(samples)
    position = share * (len(ordered) - 1)
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    # Clamped, for rounding could carry it beyond its neighbours.
    between = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return min(max(between, ordered[below]), ordered[above])


def summarize(samples: Sequence[float]) -> Summary:
    """Samples, at least one, in figures."""
    mean = fmean(samples)
    return Summary(
        count=len(samples),
        min=min(samples),
        mean=mean,
        median=median(samples),
        p90=percentile(samples, 0.90),
        p95=percentile(samples, 0.95),
        p99=percentile(samples, 0.99),
        max=max(samples),
        cv=pstdev(samples) / mean if mean else 0.0,
    )


def times_as_fast(samples: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> float | None:
    """How many times as fast as a reference: the median over rounds of the ratio of that round's medians.

    A machine's speed drifts; what ran in the same round drifted together.

    Args:
        samples: times per round.
        reference: times of the reference in the same rounds.

    Returns:
        2.0 for half the reference's time; None where no round has times of both, or a time is 0.
    """
    ratios = round_ratios(samples, reference)
    return median(ratios) if ratios else None


def round_ratios(samples: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> list[float]:
    """The ratios of `times_as_fast`, one for each round that has times of both."""
    return [
        median(theirs) / median(own)
        for own, theirs in zip(samples, reference, strict=False)
        if own and theirs and median(own) > 0
    ]


def half_medians(samples: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and the second half, of at least two samples in the order they were taken."""
    middle = len(samples) // 2
    return median(samples[:middle]), median(samples[middle:])
