"""The figures of one row at one shape, out of raw samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers.rows import BASELINE, EFDN, Row, Source
from engines.profiling.comparison import Difference
from engines.profiling.percentiles import percentile, round_ratios, times_as_fast
from engines.profiling.result import Lane, ShapeProfile

END_TO_END, NETWORK = "end_to_end", "compute"
RFDN_SOURCES = {Source.WEIGHTS: Source.RFDN_WEIGHTS, Source.GRAPH: Source.RFDN_GRAPH}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of a row at a shape; None for what was not measured.

    Attributes:
        end_to_end_ms: from 8-bit picture to 8-bit picture, median.
        network_ms: in the engine alone, median.
        quartiles_ms: end to end, the first and the third.
        cv: end to end, standard deviation over mean.
        ratio: how many times as fast as the baseline end to end, median over rounds.
        ratio_quartiles: the first and the third of the rounds.
        ratio_range: the smallest and the largest of a round.
        network_ratio: the same as `ratio` in the engine alone.
        pictures_per_s: one after the other.
        memory_bytes: by which the process grew from just before its first run.
        cold_start_s: from the start of the process to the first picture, caches empty.
        warm_start_s: the same with the caches that the first start left.
        model_bytes: of the model's file.
        grey_levels: largest difference of the output from that of its network's reference.
        psnr_db: of the output against the same; None where they are equal too.
        runs: how many there were.
        error: why there are no figures.
    """

    end_to_end_ms: float | None = None
    network_ms: float | None = None
    quartiles_ms: tuple[float, float] | None = None
    cv: float | None = None
    ratio: float | None = None
    ratio_quartiles: tuple[float, float] | None = None
    ratio_range: tuple[float, float] | None = None
    network_ratio: float | None = None
    pictures_per_s: float | None = None
    memory_bytes: int | None = None
    cold_start_s: float | None = None
    warm_start_s: float | None = None
    model_bytes: int | None = None
    grey_levels: int | None = None
    psnr_db: float | None = None
    runs: int = 0
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded to what says something."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def figures_of(profile: ShapeProfile, lane: Lane, difference: Difference | None, model: Path | None) -> Figures:
    """What came of a lane.

    Args:
        profile: it belongs to.
        lane: of the row.
        difference: of its output.
        model: the file it ran.
    """
    samples, summary, network = lane.samples(END_TO_END), lane.summary(END_TO_END), lane.summary(NETWORK)
    if lane.error is not None or summary is None or network is None:
        return Figures(error=lane.error or "it did not run")
    base = next((other for other in profile.lanes if other.name == BASELINE.name), None)
    ratios = [] if base is None else round_ratios(lane.times(END_TO_END), base.times(END_TO_END))
    return Figures(
        end_to_end_ms=summary.median,
        network_ms=network.median,
        quartiles_ms=_quartiles(samples),
        cv=summary.cv,
        ratio=median(ratios) if ratios else None,
        ratio_quartiles=_quartiles(ratios) if ratios else None,
        ratio_range=(min(ratios), max(ratios)) if ratios else None,
        network_ratio=None if base is None else times_as_fast(lane.times(NETWORK), base.times(NETWORK)),
        pictures_per_s=profile.pictures_per_s(lane),
        memory_bytes=lane.host_growth,
        cold_start_s=None if lane.cold is None else lane.cold.total_ms / 1e3,
        warm_start_s=None if lane.warm is None else lane.warm.total_ms / 1e3,
        model_bytes=None if model is None else model.stat().st_size,
        grey_levels=None if difference is None else difference.grey_levels,
        psnr_db=None if difference is None else difference.psnr_db,
        runs=summary.count,
    )


def against_rfdn(rows: Sequence[Row], lanes: Mapping[str, Lane]) -> dict[str, dict[str, Any]]:
    """EFDN's time over RFDN's through the same engine, end to end, by engine.

    Each is the median over rounds, their quartiles and their range.

    Args:
        rows: that were measured together.
        lanes: by key.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        peer = next((other for other in rows if _is_peer(other, row)), None)
        if peer is not None and lanes[row.key].error is None and lanes[peer.key].error is None:
            times = round_ratios(lanes[peer.key].times(END_TO_END), lanes[row.key].times(END_TO_END))
            if times:
                said = {"median": median(times), "quartiles": _quartiles(times), "range": (min(times), max(times))}
                found[row.engine] = {name: _rounded(value) for name, value in said.items()}
    return found


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third."""
    return percentile(values, 0.25), percentile(values, 0.75)


def _is_peer(other: Row, row: Row) -> bool:
    """Whether a row runs RFDN as another runs EFDN."""
    return row.network == EFDN and other.engine == row.engine and other.source is RFDN_SOURCES.get(row.source)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return [_rounded(entry) for entry in value] if isinstance(value, tuple) else value
