"""Measures subjects side by side.

For each shape every subject has a process of its own, started twice: with an empty
cache, which is the cold start, and with the cache that the first one left, which is
the warm start and the process that stays. The steady state is measured in rounds:
all subjects take turns, each for a slice of its time, so that a machine whose speed
drifts drifts for all of them, and ratios within a round hold.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from efdn.errors import ConfigError
from efdn.shapes import Side
from engines.profiling.comparison import compare
from engines.profiling.picture_files import time_decode, time_encode
from engines.profiling.plan import Planned
from engines.profiling.result import Lane, ShapeProfile
from engines.profiling.runner import Runner, Starter
from engines.whole import Pixels
from engines.worker.client import Worker
from engines.worker.picture import sample_pictures
from engines.worker.subject import Job

ROUNDS, FEWEST_ROUNDS = 10, 5
PATIENCE = 2.0
"""Rounds beyond the fewest are left out once they have taken so many times as long as was asked for."""

PAUSE_S = 0.02
"""Between slices: idle threads of the engine before spin for some milliseconds yet."""

STARTS_SHARE, ROUNDS_SHARE = 0.3, 0.9
"""How far the progress is when the engines have started, and when the rounds are over."""

Report = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        seconds: of steady state, for each subject at each shape; subjects whose runs are slow take longer, for
            there are five rounds at least.
        warm_up_s: seconds of running before that.
        batch: pictures at once.
        starts: whether to time cold and warm starts.
        layers: whether to time the parts of the network.
    """

    seconds: float = 3.0
    warm_up_s: float = 0.5
    batch: int = 1
    starts: bool = True
    layers: bool = False

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"seconds must be more than 0, got {self.seconds}")
        if not self.warm_up_s >= 0:
            raise ConfigError(f"seconds of warm-up must be at least 0, got {self.warm_up_s}")
        if self.batch < 1:
            raise ConfigError(f"batch must be at least 1, got {self.batch}")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "rounds": ROUNDS}


def measure_shape(
    planned: Sequence[Planned],
    shape: Side,
    settings: Settings,
    *,
    report: Report = lambda share, phase: None,
    start: Starter = Worker,
) -> ShapeProfile:
    """Measures all subjects at one shape.

    Args:
        planned: what to run; the baseline is what the others are compared with, or the first that runs.
        shape: height and width of the pictures.
        settings: how.
        report: takes the share done, 0..1, and what is at work.
        start: starts a worker.
    """
    job = Job(shape=shape, batch=settings.batch)
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="efdn-", ignore_cleanup_errors=True)))
        runners = [_runner(entry, job, base / str(index), start) for index, entry in enumerate(planned)]
        for runner in runners:
            # Of use where an error or the user ends all this: they have closed by themselves otherwise.
            stack.callback(runner.kill)
        for index, runner in enumerate(runners):
            report(STARTS_SHARE * index / len(runners), f"starting {runner.planned.name}")
            if settings.starts:
                runner.start_timed()
            else:
                runner.start()
        if not any(runner.alive and not runner.planned.baseline for runner in runners) and len(runners) > 1:
            for runner in runners:  # A baseline of nothing is not worth the wait.
                runner.close()
        _run_rounds(runners, settings, report)
        encode_ms = _finish(runners, settings, base, report)
        decode_ms = time_decode(sample_pictures(shape)[0], base)
    lanes = _distinct([runner.lane() for runner in runners])
    ran = [lane.name for lane in lanes if lane.rounds and lane.error is None]
    baselines = [lane.name for lane, entry in zip(lanes, planned, strict=True) if entry.baseline]
    reference = next(iter([name for name in baselines if name in ran] or ran), None)
    return ShapeProfile(
        shape=shape, batch=settings.batch, lanes=lanes, reference=reference, decode_ms=decode_ms, encode_ms=encode_ms
    )


def turns(count: int, rounds: int = ROUNDS) -> list[list[int]]:
    """Who runs when: indices in the order of each round, which begins with another one every time."""
    return [[(first + offset) % count for offset in range(count)] for first in range(rounds)]


def _runner(entry: Planned, job: Job, folder: Path, start: Starter) -> Runner:
    folder.mkdir()
    return Runner(entry, job, folder, start)


def _run_rounds(runners: Sequence[Runner], settings: Settings, report: Report) -> None:
    for runner in runners:
        if runner.alive:
            report(STARTS_SHARE, f"warming up {runner.planned.name}")
            runner.warm_up(settings.warm_up_s)
    started, budget = time.monotonic(), PATIENCE * settings.seconds * len(runners)
    for number, order in enumerate(turns(len(runners))):
        if number >= FEWEST_ROUNDS and time.monotonic() - started > budget:
            break
        for position, index in enumerate(order):
            runner = runners[index]
            if runner.alive:
                done = (number + position / len(runners)) / ROUNDS
                report(STARTS_SHARE + (ROUNDS_SHARE - STARTS_SHARE) * done, f"round {number + 1}/{ROUNDS}")
                time.sleep(PAUSE_S)
                runner.run_slice(settings.seconds / ROUNDS)


def _finish(runners: Sequence[Runner], settings: Settings, folder: Path, report: Report) -> tuple[float, ...]:
    """Compares outputs and looks around; gives the times to encode a picture."""
    reference: Pixels | None = None
    encode_ms: tuple[float, ...] = ()
    for runner in sorted(runners, key=lambda runner: not runner.planned.baseline):
        if runner.alive:
            report(ROUNDS_SHARE, f"looking at {runner.planned.name}")
            output = runner.output()
            if output is not None and reference is None:
                reference = output
                encode_ms = time_encode(output[0], folder)
            elif output is not None and reference is not None:
                runner.difference = compare(output, reference)
        if runner.alive:
            runner.look_around(settings.seconds if settings.layers else None)
            runner.close()
    return encode_ms


def _distinct(lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """Numbers what has the same name: files of one name in two folders, or "auto" and what it chose."""
    names: list[str] = []
    for lane in lanes:
        number, name = 1, lane.name
        while name in names:
            number += 1
            name = f"{lane.name} ({number})"
        names.append(name)
    return tuple(replace(lane, name=name) for lane, name in zip(lanes, names, strict=True))
