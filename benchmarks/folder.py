"""What a folder takes beyond the network: `python -m benchmarks.folder FOLDER [COUNT] [ROUNDS]`.

Upscales the first COUNT pictures of a folder (100 unless given) in rounds of two parts, in turns: with everything,
reading, upscaling and writing PNG, as `efdn-infer FOLDER` does; and the network alone on the same tiles, nothing else
going on. Prints the time of the whole over that of the network for each round, and the share of the time in which the
engine waited.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from efdn.pictures.reading import read_picture
from engines.batch.sources import Sources, find_sources
from engines.batch.summary import Summary
from engines.batch.work import Concurrency
from engines.inference.run import Naming, plan_files, run_files
from engines.inference.wanted import MAX_PIXELS, Wanted
from engines.pictures.enlarge import enlarge
from engines.protocol import Arrays, Engine
from engines.select import choose_engine


def main(folder: Path, count: int, rounds: int) -> None:
    """Prints a line for each round, and the median ratio."""
    found = find_sources([str(folder)])
    sources = Sources(found=found.found[:count])
    with choose_engine().engine as engine:
        print(f"{len(sources.found)} pictures, {engine.name} ({engine.detail})")
        network_seconds(engine, sources, most=3)  # The first runs of a size are slower.
        ratios = []
        for _ in range(rounds):
            summary = everything(engine, sources)
            alone = network_seconds(engine, sources)
            ratios.append(summary.seconds / alone)
            stages = summary.stages
            print(
                f"all {summary.seconds:.2f} s, network alone {alone:.2f} s, ratio {ratios[-1]:.3f}; engine waited "
                f"{summary.idle_share:.1%}; reading {stages.read_s:.2f} s, writing {stages.write_s:.2f} s",
                flush=True,
            )
        print(f"median ratio {median(ratios):.3f}")


def everything(engine: Engine, sources: Sources) -> Summary:
    """The folder as the command does it."""
    with tempfile.TemporaryDirectory() as output:
        plan = plan_files(sources, engine, Wanted(), Naming(output=Path(output), suffix="_x4"))
        summary = run_files(plan, engine, Wanted(), Concurrency(), lambda event: None)
    if summary.exit_code:
        sys.exit("some pictures failed")
    return summary


def network_seconds(engine: Engine, sources: Sources, most: int | None = None) -> float:
    """Seconds within the engine's calls, on pictures read before."""
    seconds = 0.0
    with timed(engine) as times:
        for source in sources.found[:most]:
            for _ in enlarge(engine, read_picture(source.path, max_pixels=MAX_PIXELS)).rows:
                pass
        seconds = sum(times)
    return seconds


@contextmanager
def timed(engine: Engine) -> Iterator[Sequence[float]]:
    """Yields a list that the seconds of every call of the engine are added to."""
    times: list[float] = []
    infer = engine.infer

    def infer_timed(feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        began = perf_counter()
        try:
            return infer(feeds)
        finally:
            times.append(perf_counter() - began)

    engine.infer = infer_timed  # type: ignore[method-assign]
    try:
        yield times
    finally:
        engine.infer = infer  # type: ignore[method-assign]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        Path(arguments[0]),
        int(arguments[1]) if len(arguments) > 1 else 100,
        int(arguments[2]) if len(arguments) > 2 else 3,
    )
