"""What to be wary of in a profile: each warning with its rule and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from engines.profiling.percentiles import half_medians, summarize
from engines.profiling.result import Lane, ShapeProfile

ENQUEUE_SHARE = 0.8
NOISY_CV, DRIFT = 0.10, 0.10
FEW_RUNS = 20
CLOCK_SHARE = 0.7
GREY_LEVELS = 1
LOAD_SHARE = 0.5
FAILED = "failed"

SLOWING = {
    "power cap",
    "hardware slowdown",
    "software thermal slowdown",
    "hardware thermal slowdown",
    "power brake",
}
"""Reasons that come from load and heat; the others are settings, which hold at all times alike."""


@dataclass(frozen=True, kw_only=True)
class Warn:
    """One warning.

    Attributes:
        kind: in a word or two, such as "noisy".
        where: shape and engine; None for the machine as a whole.
        text: the figures, the rule, and what to do.
    """

    kind: str
    where: str | None
    text: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.kind}: {'' if self.where is None else f'{self.where}: '}{self.text}"


def grouped(warnings: Sequence[Warn]) -> list[tuple[str, list[str]]]:
    """Warnings by kind and advice: "noisy: what to do", and under it where, with the figures."""
    groups: dict[str, list[str]] = {}
    for warning in warnings:
        figures, _, advice = warning.text.rpartition(": ")
        where = "" if warning.where is None else f"{warning.where}: "
        groups.setdefault(f"{warning.kind}: {advice}", []).append(f"{where}{figures or advice}")
    return list(groups.items())


def warnings_of(shapes: Sequence[ShapeProfile], load: float | None, cores: int) -> tuple[Warn, ...]:
    """All warnings, failures first.

    Args:
        shapes: what was measured.
        load: load average before the start, if the system tells.
        cores: that the process may run on.
    """
    found = [*busy(load, cores)]
    for profile in shapes:
        for lane in profile.lanes:
            where = f"{profile.title}, {lane.name}"
            found += [Warn(kind=kind, where=where, text=text) for kind, text in _of_lane(lane, profile)]
    return tuple(sorted(found, key=lambda warning: warning.kind != FAILED))


def busy(load: float | None, cores: int) -> Iterator[Warn]:
    """Whether the processor had other work."""
    if load is not None and load > LOAD_SHARE * cores:
        yield Warn(
            kind="busy machine",
            where=None,
            text=f"load average {load:.1f} on {cores} cores before the start (over {LOAD_SHARE:.0%} of them): "
            "end other work and run again",
        )


def _of_lane(lane: Lane, profile: ShapeProfile) -> Iterator[tuple[str, str]]:
    if lane.error is not None:
        yield FAILED, lane.error
    if lane.rounds:
        yield from few(lane)
        yield from enqueue_bound(lane)
        yield from noisy(lane)
        yield from throttled(lane)
        yield from different(lane, profile.reference)


def few(lane: Lane) -> Iterator[tuple[str, str]]:
    """Whether there are too few samples for percentiles."""
    count = len(lane.samples("compute"))
    if count < FEW_RUNS:
        yield (
            "few runs",
            f"{count} runs (under {FEW_RUNS}): p95 and p99 say little; raise --seconds",
        )


def enqueue_bound(lane: Lane) -> Iterator[tuple[str, str]]:
    """Whether the host starts the network about as slowly as the device runs it."""
    enqueue, compute = lane.samples("enqueue"), lane.samples("compute")
    if enqueue and compute and median(enqueue) > ENQUEUE_SHARE * median(compute):
        yield (
            "enqueue-bound",
            f"the host takes {median(enqueue):.2f} ms to start what the device computes in {median(compute):.2f} ms "
            f"(over {ENQUEUE_SHARE:.0%}): a faster GPU would not help; use CUDA graphs, larger shapes or batches",
        )


def noisy(lane: Lane) -> Iterator[tuple[str, str]]:
    """Whether times scatter, or drift from the first half to the second."""
    samples = lane.samples("compute")
    summary = summarize(samples)
    if summary.cv > NOISY_CV:
        yield (
            "noisy",
            f"times scatter by {summary.cv:.0%} (standard deviation over mean, limit {NOISY_CV:.0%}): "
            "trust the median and the ratios, not p95 and p99",
        )
    if len(samples) < 2:
        return
    first, second = half_medians(samples)
    change = second / first - 1 if first else 0.0
    if abs(change) > DRIFT:
        yield (
            "drifting",
            f"the second half is {abs(change):.0%} {'slower' if change > 0 else 'faster'} than the first "
            f"({second:.2f} and {first:.2f} ms, limit {DRIFT:.0%}): raise --warm-up or --seconds",
        )


def throttled(lane: Lane) -> Iterator[tuple[str, str]]:
    """Whether the GPU, under this load, was held back."""
    gpu = lane.gpu
    if gpu is None:
        return
    reasons = [reason for reason in gpu.throttle_reasons if reason in SLOWING]
    clock, most = gpu.sm_clock_mhz, gpu.max_sm_clock_mhz
    slow = clock is not None and most is not None and clock < CLOCK_SHARE * most
    if not reasons and not slow:
        return
    clocks = "" if clock is None or most is None else f" at {clock:.0f} of {most:.0f} MHz"
    heat = "" if gpu.temperature_c is None else f", {gpu.temperature_c:.0f} C"
    power = "" if gpu.power_w is None else f", {gpu.power_w:.0f} W"
    cause = ", ".join(reasons) or f"clocks under {CLOCK_SHARE:.0%} of the fastest"
    yield "throttled", f"{gpu.name} ran{clocks}{heat}{power} ({cause}): let it cool, or fix its clocks for comparisons"


def different(lane: Lane, reference: str | None) -> Iterator[tuple[str, str]]:
    """Whether the output is another one than the reference's."""
    difference = lane.difference
    if difference is not None and difference.grey_levels > GREY_LEVELS:
        quality = "" if difference.psnr_db is None else f", PSNR {difference.psnr_db:.1f} dB"
        yield (
            "different output",
            f"up to {difference.grey_levels} grey levels from {reference} in {difference.differing_share:.2%} of values"
            f"{quality} (more than {GREY_LEVELS}): half precision, or another model",
        )
    if difference is None and lane.error is None and reference not in (None, lane.name):
        yield "different output", f"pictures of another size than those of {reference}: another scale, no comparison"
