"""The challenge's columns for engines measured here, beside the published rows.

Runtime is that of the network alone, one forward per whole picture, averaged over the
pictures of a set, as the challenge times it: on a GPU by the device's clock, else by
the host's. Each size runs once before it counts. Engines run in a process of their own,
on the packaged photo mirrored out to the sizes of the set's pictures.

Memory on a CPU is by how much that process grew from just before its first run to its
peak; on a GPU, what of the device is in use by all processes together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from efdn.config import MIN_SIDE
from efdn.shapes import Side
from engines.cores import allowed_cores
from engines.evaluation.counts import count_model
from engines.evaluation.measure import Report
from engines.evaluation.published import PUBLISHED, SOURCE, Counts
from engines.evaluation.result import SetScores, Settings
from engines.nvidia_smi import query_gpus
from engines.profiling.machine import load_average, processor
from engines.profiling.runner import Starter
from engines.worker.client import Worker
from engines.worker.subject import Job, Memory, Subject


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An engine to fill a row with.

    Attributes:
        name: as in all tables.
        subject: what a worker is to open.
        smallest_side: of pictures that its network takes; smaller ones are mirrored up to it.
    """

    name: str
    subject: Subject
    smallest_side: int = MIN_SIDE


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one forward per picture of a set takes.

    Attributes:
        runtime_ms: of the network, per picture in the order of sizes.
        memory: of the process.
        staged: whether the engine is on a device with a clock and memory of its own.
    """

    runtime_ms: tuple[float, ...]
    memory: Memory
    staged: bool

    @property
    def mean_ms(self) -> float:
        """Average runtime of a picture."""
        return sum(self.runtime_ms) / len(self.runtime_ms)

    @property
    def memory_bytes(self) -> int | None:
        """The device's memory in use, or the growth of the process; None where the system does not tell."""
        memory = self.memory
        if self.staged:
            return memory.device_used
        if memory.host_peak is None or memory.host_before is None:
            return None
        return max(0, memory.host_peak - memory.host_before)

    def as_json(self) -> dict[str, Any]:
        """Plain values, every runtime included."""
        return {
            "mean_runtime_ms": self.mean_ms,
            "runtime_ms": list(self.runtime_ms),
            "memory_bytes": self.memory_bytes,
            "memory_is": "in use on the device, all processes" if self.staged else "growth of the process to its peak",
        }


@dataclass(frozen=True, kw_only=True)
class Row:
    """An engine measured here.

    Attributes:
        name: of the engine, as in all tables.
        counts: of the network as trained; None where they are not known.
        unknown: why they are not.
        psnr_db: RGB, by set.
        costs: by set.
    """

    name: str
    counts: Counts | None
    unknown: str | None
    psnr_db: Mapping[str, float]
    costs: Mapping[str, Cost]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "counts": None if self.counts is None else self.counts.as_json(),
            "counts_unknown": self.unknown,
            "sets": {name: {"rgb_psnr_db": self.psnr_db[name], **cost.as_json()} for name, cost in self.costs.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Factsheet:
    """Rows measured here, with what they depend on; the published ones are `PUBLISHED`.

    Attributes:
        device: that the rows were measured on.
        cores: that this process may use.
        load: load average before the start; None where the system does not say.
        rows: the engines.
    """

    device: str
    cores: int
    load: float | None
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; the published rows apart from the measured ones."""
        return {
            "measured": {
                "device": self.device,
                "usable_cores": self.cores,
                "load_average_before": self.load,
                "rows": [row.as_json() for row in self.rows],
            },
            "published": {"source": SOURCE, "rows": [row.as_json() for row in PUBLISHED]},
        }


def measure_factsheet(
    candidates: Sequence[Candidate],
    sets: Sequence[SetScores],
    settings: Settings,
    *,
    report: Report = lambda share, phase: None,
    start: Starter = Worker,
) -> Factsheet:
    """Times engines on the sizes of the sets' pictures, and counts what they run.

    Args:
        candidates: the engines.
        sets: their scores, in which the names are found again.
        settings: padding, above all.
        report: takes the progress.
        start: starts a worker.

    Raises:
        EngineError: an engine cannot be opened, or failed.
    """
    load, total = load_average(), len(candidates) * len(sets)
    rows: list[Row] = []
    for candidate in candidates:
        counts, unknown = count_model(candidate.subject.model)
        costs: dict[str, Cost] = {}
        for entry in sets:
            report((len(rows) * len(sets) + len(costs)) / total, f"timing {candidate.name} on {entry.name}")
            sides = [
                network_side(picture.lr_shape, settings.pad, candidate.smallest_side) for picture in entry.pictures
            ]
            costs[entry.name] = measure_cost(candidate.subject, sides, start)
        psnr_db = {entry.name: entry.mean(candidate.name).rgb_psnr_db for entry in sets}
        rows.append(Row(name=candidate.name, counts=counts, unknown=unknown, psnr_db=psnr_db, costs=costs))
    staged = any(cost.staged for row in rows for cost in row.costs.values())
    return Factsheet(device=_device(staged), cores=allowed_cores(), load=load, rows=tuple(rows))


def measure_cost(subject: Subject, sides: Sequence[Side], start: Starter = Worker) -> Cost:
    """Runs an engine in a process of its own, once for each picture after a first run at its size.

    Args:
        subject: the engine.
        sides: height and width of each picture, padding included.
        start: starts a worker.

    Raises:
        EngineError: it cannot be opened, or failed.
    """
    times: list[float] = []
    with start(None, {}) as worker:
        opened = worker.open(subject)
        for side, count in sorted(Counter(sides).items()):
            worker.prepare(Job(shape=side))
            times += [sample.compute for sample in worker.run(seconds=0, at_least=count, at_most=count)]
        return Cost(runtime_ms=tuple(times), memory=worker.memory(), staged=opened.staged)


def network_side(lr_shape: Side, pad: int, least: int = MIN_SIDE) -> Side:
    """Height and width that the network sees of a picture."""
    height, width = (max(least, side + 2 * pad) for side in lr_shape)
    return height, width


def _device(staged: bool) -> str:
    gpus = [gpu.name for gpu in query_gpus()] if staged else []
    return ", ".join([*gpus, processor()])
