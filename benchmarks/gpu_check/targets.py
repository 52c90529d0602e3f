"""What is to be reached on a GPU, and whether it was. Nothing is said to be met that was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.gpu_check.exactness import Exactness
from engines.profiling.result import Lane, ShapeProfile
from engines.trt.engine import WITHOUT_GRAPH

SPEED_UP, BOUND_FACTOR, PSNR_DB, GREY_LEVELS, OVERHEAD = 8.0, 2.0, 65.0, 1, 0.20

FUSED_KB_PER_PIXEL = 40.8
"""Traffic of the network with fused epilogues and materialised shifts, FP16, per LR pixel."""

BANDWIDTH_GB_S = {
    "RTX 3090": 936,
    "RTX 4090": 1008,
    "RTX 5090": 1792,
    "H100 80GB HBM3": 3350,
    "H200": 4800,
}
"""Peaks as the maker states them, by the name that the driver gives, without the maker's; variants have others."""

BASELINE = "pytorch-published"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One target.

    Attributes:
        target: in words.
        measured: in words; why not, where it was not measured.
        met: None where it was not measured.
    """

    target: str
    measured: str
    met: bool | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def judge(profiles: Sequence[ShapeProfile], exactness: Sequence[Exactness], gpu: str | None) -> tuple[Verdict, ...]:
    """All targets."""
    return (
        _speed_up(profiles),
        *[_bound(profile, gpu) for profile in profiles],
        _psnr(exactness),
        _levels(profiles),
        _overhead(profiles),
    )


def bound_ms(profile: ShapeProfile, gpu: str | None) -> float | None:
    """Time to move the fused network's bytes at the GPU's peak; None for GPUs that are not listed."""
    name = (gpu or "").removeprefix("NVIDIA ").removeprefix("GeForce ")
    speed = BANDWIDTH_GB_S.get(name)
    height, width = profile.shape
    return None if speed is None else FUSED_KB_PER_PIXEL * 1e3 * height * width / (speed * 1e9) * 1e3


def engine_lanes(profile: ShapeProfile, io: str = "uint8") -> list[Lane]:
    """TensorRT engines with CUDA graphs that ran."""
    return [
        lane
        for lane in profile.lanes
        if lane.name.startswith("tensorrt") and lane.name.endswith(io) and lane.rounds and lane.error is None
        if lane.opened is None or WITHOUT_GRAPH not in lane.opened.detail
    ]


def _speed_up(profiles: Sequence[ShapeProfile]) -> Verdict:
    target = f"FP16 TensorRT at least {SPEED_UP:g}x PyTorch eager FP32 in published form at 339x510, compute time"
    profile = next((profile for profile in profiles if profile.shape == (339, 510)), None)
    lanes = [] if profile is None else engine_lanes(profile)
    found = [] if profile is None else [profile.ratio(lane) for lane in lanes]
    ratios = [ratio.compute for ratio in found if ratio is not None and ratio.compute is not None]
    if profile is None or not ratios or profile.reference != BASELINE:
        return _open(target, "baseline or engine did not run")
    return Verdict(target=target, measured=f"{max(ratios):.2f}x", met=max(ratios) >= SPEED_UP)


def _bound(profile: ShapeProfile, gpu: str | None) -> Verdict:
    target = f"{profile.title}: within {BOUND_FACTOR:g}x of the bound of fused epilogues"
    bound = bound_ms(profile, gpu)
    medians = [summary.median for lane in engine_lanes(profile) if (summary := lane.summary("compute")) is not None]
    if bound is None:
        return _open(target, f"the bandwidth of {gpu or 'this machine'} is not listed")
    if not medians:
        return _open(target, "no engine ran")
    best = min(medians)
    return Verdict(target=target, measured=f"{best:.2f} ms, bound {bound:.2f} ms", met=best <= BOUND_FACTOR * bound)


def _psnr(exactness: Sequence[Exactness]) -> Verdict:
    target = f"float output at least {PSNR_DB:g} dB against PyTorch FP32"
    found = [entry for entry in exactness if entry.name.startswith("tensorrt") and entry.error is None]
    if not any(entry.name == BASELINE and entry.error is None for entry in exactness):
        return _open(target, "the baseline did not run")
    if not found:
        return _open(target, "no engine with float output ran")
    if not all(entry.finite for entry in found):
        return Verdict(target=target, measured="values that are not finite", met=False)
    worst = min(float("inf") if entry.psnr_db is None else entry.psnr_db for entry in found)
    return Verdict(target=target, measured=f"{worst:.1f} dB", met=worst >= PSNR_DB)


def _levels(profiles: Sequence[ShapeProfile]) -> Verdict:
    target = f"8-bit output at most {GREY_LEVELS} level from PyTorch FP32"
    levels = [
        lane.difference.grey_levels
        for profile in profiles
        if profile.reference == BASELINE
        for lane in engine_lanes(profile)
        if lane.difference is not None
    ]
    if not levels:
        return _open(target, "baseline or engine did not run")
    return Verdict(target=target, measured=f"{max(levels)}", met=max(levels) <= GREY_LEVELS)


def _overhead(profiles: Sequence[ShapeProfile]) -> Verdict:
    target = f"end to end at most {OVERHEAD:.0%} over compute at 720x1280, pictures in and out"
    shares = [
        end.median / compute.median - 1
        for profile in profiles
        if profile.shape == (720, 1280)
        for lane in engine_lanes(profile)
        if (end := lane.summary("end_to_end")) is not None and (compute := lane.summary("compute")) is not None
    ]
    if not shares:
        return _open(target, "no engine ran")
    return Verdict(target=target, measured=f"{min(shares):.0%}", met=min(shares) <= OVERHEAD)


def _open(target: str, reason: str) -> Verdict:
    return Verdict(target=target, measured=f"not measured: {reason}", met=None)
