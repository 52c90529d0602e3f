"""Workers without engines, and profiles made by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from efdn.errors import EngineError
from engines.profiling.plan import Planned
from engines.profiling.result import Lane, ShapeProfile, Start
from engines.worker.client import Worker
from engines.worker.subject import Job, Memory, Opened, Sample, Subject

Maker = Callable[[float], Sample]

OPENED = Opened(
    engine="fake",
    detail="in memory",
    model="m.onnx",
    scale=2,
    io="uint8",
    shapes=("any shape from 13x13",),
    largest_batch=4,
    staged=False,
    passed_over=(),
    open_ms=5.0,
)


def sample(compute: float, **others: float) -> Sample:
    """A run whose conversions take a millisecond."""
    copies = others.get("h2d", 0) + others.get("d2h", 0)
    return Sample(end_to_end=compute + 1 + copies, infer=compute, compute=compute, **others)


@dataclass
class Behaviour:
    """How a fake engine runs.

    Attributes:
        ms: of a run.
        level: of every pixel of its output.
        fails: what it is asked for when it fails, such as "open" or "run", and how often it has done it by then.
        raises: what then happens.
        detail: what it says of itself once it has run; what it said before if None.
    """

    ms: float = 10.0
    level: int = 100
    fails: str = ""
    after: int = 0
    raises: type[BaseException] = EngineError
    opened: Opened = OPENED
    layers: Sequence[dict[str, Any]] = ()
    detail: str | None = None


@dataclass
class Workers:
    """Starts fake workers, and remembers what they were asked for."""

    behaviours: Mapping[str, Behaviour]
    calls: list[tuple[str, str]] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    living: int = 0

    def __call__(self, python: Path | None, environment: Mapping[str, str]) -> Worker:
        self.environments.append(environment)
        self.living += 1
        return _FakeWorker(self)

    def order(self, command: str) -> list[str]:
        """Engines in the order in which they were asked for something."""
        return [name for name, asked in self.calls if asked == command]


class _FakeWorker(Worker):
    def __init__(self, workers: Workers) -> None:
        self.started = time.perf_counter()
        self.detail: str | None = None
        self._workers, self._ended = workers, False
        self._behaviour, self._name, self._counts = Behaviour(), "", dict[str, int]()

    def open(self, subject: Subject) -> Opened:
        self._name, self._behaviour = subject.engine, self._workers.behaviours[subject.engine]
        self._note("open")
        return self._behaviour.opened

    def prepare(self, job: Job) -> Sample:
        self._note("prepare")
        self._job = job
        return sample(self._behaviour.ms * 3)

    def run(self, *, seconds: float, at_least: int = 1, at_most: int = 1_000_000) -> list[Sample]:
        self._note("run")
        self.detail = self._behaviour.detail
        count = max(at_least, int(seconds * 1e3 / self._behaviour.ms))
        return [sample(self._behaviour.ms) for _ in range(count)]

    def write_output(self, path: Path) -> None:
        self._note("output")
        height, width = (self._behaviour.opened.scale * side for side in self._job.shape)
        np.save(path, np.full((self._job.batch, height, width, 3), self._behaviour.level, np.uint8))

    def layers(self, runs: int) -> list[dict[str, Any]]:
        self._note("layers")
        return list(self._behaviour.layers)

    def memory(self) -> Memory:
        self._note("memory")
        return Memory(host_peak=300, host_before=100, device_used=None, device_total=None)

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self._workers.living -= 1

    def kill(self) -> None:
        self.close()

    def _note(self, command: str) -> None:
        behaviour = self._behaviour
        self._workers.calls.append((self._name, command))
        self._counts[command] = self._counts.get(command, 0) + 1
        if command == behaviour.fails and self._counts[command] > behaviour.after:
            raise behaviour.raises("it broke")


def planned(*names: str) -> tuple[Planned, ...]:
    """Subjects of that name, the first being the baseline."""
    return tuple(
        Planned(name=name, subject=Subject(engine=name), baseline=index == 0) for index, name in enumerate(names)
    )


def lane(name: str, rounds: Sequence[Sequence[float]], **fields: Any) -> Lane:
    """A lane whose network took these milliseconds."""
    make: Maker = fields.pop("make", sample)
    return Lane(
        name=name,
        subject=Subject(engine=name),
        opened=fields.pop("opened", OPENED),
        rounds=tuple(tuple(map(make, times)) for times in rounds),
        **fields,
    )


def shape_profile(*lanes: Lane) -> ShapeProfile:
    """Lanes at 16x20, compared with the first."""
    return ShapeProfile(
        shape=(16, 20), batch=1, lanes=lanes, reference=lanes[0].name, decode_ms=(1.0, 2.0), encode_ms=(3.0,)
    )


START = Start(total_ms=1000.0, open_ms=700.0, first_ms=200.0)


def staged(enqueue: float) -> Maker:
    """Makes samples of an engine on a device."""
    return lambda compute: sample(compute, h2d=0.2, d2h=0.4, enqueue=enqueue)
