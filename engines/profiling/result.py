"""What a profile found, with every raw sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from efdn.shapes import Side
from engines.nvidia_smi import GpuState
from engines.profiling.comparison import Difference
from engines.profiling.percentiles import Summary, summarize, times_as_fast
from engines.protocol import LayerTime
from engines.worker.subject import Memory, Opened, Sample, Subject

STAGES = ("h2d", "compute", "d2h", "enqueue", "infer", "end_to_end")
"""Fields of a sample, in the order of a report."""

REST = "rest"
"""What of the time end to end is neither copies nor network: conversions on the host, and waiting."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """From nothing to the first result, in milliseconds.

    Attributes:
        total_ms: from the start of the process to the first result.
        open_ms: of that, importing the engine's packages and opening the model.
        first_ms: of that, the first run.
    """

    total_ms: float
    open_ms: float
    first_ms: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as fast as the reference; see `times_as_fast`.

    Attributes:
        compute: in the network alone.
        end_to_end: from picture to picture.
    """

    compute: float | None
    end_to_end: float | None


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One engine at one shape.

    Attributes:
        name: of the subject.
        subject: what was asked for.
        opened: what was opened; None if that failed.
        error: why there are no figures, or only some.
        cold: start with an empty cache; None where starts were not timed.
        warm: start with the cache that the first one filled.
        rounds: samples of the steady state, per round, in the order they were taken.
        memory: of the process, at the end.
        gpu: the GPU under this load; None for engines on the CPU.
        difference: of the output from the reference's; None for the reference, or without outputs.
        layers: mean times of parts, where asked for and told.
    """

    name: str
    subject: Subject
    opened: Opened | None = None
    error: str | None = None
    cold: Start | None = None
    warm: Start | None = None
    rounds: tuple[tuple[Sample, ...], ...] = ()
    memory: Memory | None = None
    gpu: GpuState | None = None
    difference: Difference | None = None
    layers: tuple[LayerTime, ...] = ()

    def times(self, stage: str) -> list[list[float]]:
        """Milliseconds of a stage per round; empty rounds where the engine does not tell it apart."""
        values = [[getattr(sample, stage) for sample in samples] for samples in self.rounds]
        return [[value for value in row if value is not None] for row in values]

    def samples(self, stage: str) -> list[float]:
        """Milliseconds of a stage, of all rounds."""
        return [value for row in self.times(stage) for value in row]

    def summary(self, stage: str) -> Summary | None:
        """A stage in figures; None where the engine does not tell it apart or never ran."""
        samples = self.samples(stage)
        return summarize(samples) if samples else None

    def rest(self) -> list[float]:
        """Milliseconds that are neither copies nor network, one a sample."""
        return [
            sample.end_to_end - sample.compute - (sample.h2d or 0.0) - (sample.d2h or 0.0)
            for samples in self.rounds
            for sample in samples
        ]

    @property
    def host_growth(self) -> int | None:
        """Bytes by which the process grew from just before its first run to its peak."""
        if self.memory is None or self.memory.host_peak is None or self.memory.host_before is None:
            return None
        return max(0, self.memory.host_peak - self.memory.host_before)


@dataclass(frozen=True, kw_only=True)
class ShapeProfile:
    """All engines at one shape.

    Attributes:
        shape: height and width of the LR pictures.
        batch: pictures at once.
        lanes: one for each subject.
        reference: name of the lane that the others are compared with; None where none ran.
        decode_ms: times to read one such picture from a PNG file.
        encode_ms: times to write one upscaled picture to a PNG file; none where nothing was upscaled.
    """

    shape: Side
    batch: int
    lanes: tuple[Lane, ...]
    reference: str | None
    decode_ms: tuple[float, ...] = ()
    encode_ms: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """Such as "256x256"."""
        return "{}x{}".format(*self.shape) + (f", {self.batch} at once" if self.batch > 1 else "")

    def ratio(self, lane: Lane) -> Ratio | None:
        """How a lane compares with the reference; None where either has no samples."""
        reference = next((other for other in self.lanes if other.name == self.reference), None)
        if reference is None or not lane.rounds:
            return None
        return Ratio(
            compute=times_as_fast(lane.times("compute"), reference.times("compute")),
            end_to_end=times_as_fast(lane.times("end_to_end"), reference.times("end_to_end")),
        )

    def pictures_per_s(self, lane: Lane) -> float | None:
        """Pictures upscaled in a second, end to end without reading and writing files, one call after the other."""
        samples = lane.samples("end_to_end")
        total = sum(samples)
        return 1e3 * len(samples) * self.batch / total if total > 0 else None

    def megapixels_per_s(self, lane: Lane) -> float | None:
        """Millions of upscaled (output) pixels in a second, likewise."""
        pictures = self.pictures_per_s(lane)
        if pictures is None or lane.opened is None:
            return None
        return pictures * self.shape[0] * self.shape[1] * lane.opened.scale**2 / 1e6

    def as_json(self) -> dict[str, Any]:
        """Plain values: raw samples, and what follows from them."""
        return {
            "shape": list(self.shape),
            "batch": self.batch,
            "reference": self.reference,
            "decode_ms": list(self.decode_ms),
            "encode_ms": list(self.encode_ms),
            "engines": [self._lane_as_json(lane) for lane in self.lanes],
        }

    def _lane_as_json(self, lane: Lane) -> dict[str, Any]:
        ratio = self.ratio(lane)
        memory = None if lane.memory is None else {**asdict(lane.memory), "host_growth": lane.host_growth}
        return {
            "name": lane.name,
            "asked": lane.subject.as_json(),
            "opened": None if lane.opened is None else asdict(lane.opened),
            "error": lane.error,
            "cold_start": None if lane.cold is None else lane.cold.as_json(),
            "warm_start": None if lane.warm is None else lane.warm.as_json(),
            "figures_ms": {stage: summary.as_json() for stage, summary in _summaries(lane)},
            "pictures_per_s": self.pictures_per_s(lane),
            "output_megapixels_per_s": self.megapixels_per_s(lane),
            "times_as_fast": None if ratio is None else asdict(ratio),
            "difference": None if lane.difference is None else lane.difference.as_json(),
            "memory_bytes": memory,
            "gpu": None if lane.gpu is None else lane.gpu.as_json(),
            "layers": [asdict(layer) for layer in lane.layers],
            "rounds_ms": {stage: lane.times(stage) for stage, _ in _summaries(lane)},
        }


def _summaries(lane: Lane) -> Iterable[tuple[str, Summary]]:
    found = ((stage, lane.summary(stage)) for stage in STAGES)
    return [(stage, summary) for stage, summary in found if summary is not None]
