"""What a Ray cluster costs and gains on this machine: `python -m benchmarks.cluster [ROUNDS] [PICTURES]`.

Rounds of three parts, in turns: a folder in one process with one thread, as `efdn-infer` does it; the same on a
cluster with one worker of one core; and with two. Then what does not depend on the network: the start of a cluster,
chunks of next to no work, and planning many files. Results go to `benchmarks/results/cluster.json`. Needs Linux.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import machine
from efdn.files import write_json
from engines.batch.outcome import Status
from engines.batch.sources import Sources, find_sources
from engines.batch.work import Concurrency, Event, Finished, Started
from engines.bicubic import BicubicEngine
from engines.cluster.chunks import MOST_PICTURES
from engines.cluster.connect import connected
from engines.cluster.described import DescribedEngine
from engines.cluster.facts import Facts, facts_of
from engines.cluster.options import LOCAL, ClusterOptions, WorkerOptions
from engines.cluster.probe import look_everywhere, question_of
from engines.cluster.rota import Rota
from engines.cluster.run import run_on_cluster
from engines.cluster.survey import Crew, alive_nodes, crew_of
from engines.inference.run import Naming, plan_files, run_files
from engines.inference.wanted import Wanted
from engines.options import RunOptions
from engines.select import Choice, choose_engine

RESULTS = Path(__file__).parent / "results" / "cluster.json"
SIDE, TINY, MANY, CHUNKS = 128, 16, 20_000, 400
USUAL = (3, 24)
"""Rounds and pictures."""

MARK = "benchmark"
LOOK_EVERY_S = 2.0
WORKER = "ray::MapWorker"
ENGINE = "onnxruntime-cpu"


@dataclass(kw_only=True)
class Clock:
    """When work on the first picture began and that on the last ended, as the driver hears of it."""

    begun_s: float = 0.0
    over_s: float = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started) and not self.begun_s:
            self.begun_s = perf_counter()
        if isinstance(event, Finished):
            self.over_s = perf_counter()

    @property
    def seconds(self) -> float:
        return self.over_s - self.begun_s


def main(rounds: int, pictures: int) -> None:
    """Measures and writes."""
    content: dict[str, Any] = {"command": f"python -m benchmarks.cluster {rounds} {pictures}", "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        content["planning"] = planning(Path(folder))
        began = perf_counter()
        with connected(LOCAL) as (ray, _):
            content["start_s"] = {"cluster": perf_counter() - began}
            content["driver_bytes_connected"] = resident_bytes(os.getpid())
            crew = replace(crew_of(alive_nodes(ray), 1, on_gpus=False), workers=2)
            began = perf_counter()
            sources = noise_folder(Path(folder, "in"), pictures, SIDE)
            options = ClusterOptions(address=LOCAL, cores=1, engine=ENGINE)
            facts = look_everywhere(ray, crew, question_of(options, crew, sources.found[0].path, None)).facts
            content["start_s"]["look"] = perf_counter() - began
            content["folder"] = folder_rounds(ray, crew, worker_options(options, facts), sources, rounds)
            content["chunks"] = chunk_costs(ray, crew, Path(folder))
    show(content)
    write_json(RESULTS, content)


def folder_rounds(ray: Any, crew: Crew, options: WorkerOptions, sources: Sources, rounds: int) -> dict[str, Any]:
    """The same folder three ways, in turns."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "one process": lambda: in_process(sources),
        "one worker": lambda: on_cluster(ray, replace(crew, workers=1), options, sources),
        "two workers": lambda: on_cluster(ray, crew, options, sources),
    }
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            figures[name].append({**part(), "load_1min": os.getloadavg()[0]})
            print(f"{name}: {figures[name][-1]}", flush=True)
    return {"pictures": len(sources.found), "side": SIDE, **figures}


def in_process(sources: Sources) -> dict[str, Any]:
    """One engine with one thread in this process."""
    clock = Clock()
    with choose_engine(None, ENGINE, RunOptions(threads=1)).engine as engine, tempfile.TemporaryDirectory() as output:
        plan = plan_files(sources, engine, Wanted(), Naming(output=Path(output), suffix="_x4"))
        summary = run_files(plan, engine, Wanted(), Concurrency(), clock)
    check(summary.count(Status.DONE), len(sources.found))
    return {"work_s": clock.seconds, "infer_s": summary.stages.infer_s, "all_s": summary.seconds}


def on_cluster(ray: Any, crew: Crew, options: WorkerOptions, sources: Sources) -> dict[str, Any]:
    """Workers of one core."""
    clock, began = Clock(), perf_counter()
    with tempfile.TemporaryDirectory() as output:
        engine = DescribedEngine(options.expected)
        plan = plan_files(sources, engine, Wanted(), Naming(output=Path(output), suffix="_x4"))
        with watched_workers() as worker_bytes:
            summary = run_on_cluster(ray, plan, crew, options, clock)
    check(summary.count(Status.DONE), len(sources.found))
    return {
        "work_s": clock.seconds,
        "infer_s": summary.stages.infer_s,
        "all_s": summary.seconds,
        "start_s": clock.begun_s - began,
        "worker_bytes": worker_bytes,
    }


def chunk_costs(ray: Any, crew: Crew, folder: Path) -> dict[str, float]:
    """Tiny pictures through an engine that does next to nothing: one a chunk, and eight."""
    options = ClusterOptions(address=LOCAL, cores=1, opener="benchmarks.cluster:open_bicubic")
    worker = worker_options(options, facts_of(open_bicubic(), None))
    costs = {}
    for count, name in ((CHUNKS // 8, "few"), (CHUNKS * 8, "many")):
        sources = noise_folder(folder / f"{name}_tiny", count, TINY)
        with BicubicEngine(4) as engine, tempfile.TemporaryDirectory() as output:
            aside = plan_files(sources, engine, Wanted(), Naming(output=Path(output), suffix="_x4"))
            here = perf_counter()
            run_files(aside, engine, Wanted(), Concurrency(), lambda event: None)
            costs[f"{name}_here_s"] = perf_counter() - here
        clock, cpu = Clock(), process_time()
        plan = plan_files(sources, DescribedEngine(worker.expected), Wanted(), Naming(suffix="_x4"))
        planned = process_time()
        summary = run_on_cluster(ray, plan, replace(crew, workers=1), worker, clock)
        check(summary.count(Status.DONE), count)
        costs[f"{name}_pictures"] = float(count)
        costs[f"{name}_chunks"] = float(-(-count // MOST_PICTURES))
        costs[f"{name}_work_s"] = clock.seconds
        costs[f"{name}_driver_cpu_s"] = process_time() - planned
        costs[f"{name}_planning_cpu_s"] = planned - cpu
        costs[f"{name}_driver_bytes"] = float(resident_bytes(os.getpid()))
    chunks = costs["many_chunks"] - costs["few_chunks"]
    costs["driver_cpu_s_per_chunk"] = (costs["many_driver_cpu_s"] - costs["few_driver_cpu_s"]) / chunks
    costs["work_s_per_chunk"] = (costs["many_work_s"] - costs["few_work_s"]) / chunks
    return costs


def planning(folder: Path) -> dict[str, float]:
    """Finding and planning many files, which are one file under many names."""
    folder = folder / "many"
    first = noise_folder(folder, 1, SIDE).found[0].path
    for index in range(1, MANY):
        os.link(first, folder / f"{index:06}.png")
    engine = DescribedEngine(facts_of(open_bicubic(), None))
    held = resident_bytes(os.getpid())
    times = [perf_counter()]
    sources = find_sources([str(folder)])
    times.append(perf_counter())
    plan = plan_files(sources, engine, Wanted(), Naming(output=folder.with_name("results"), suffix="_x4"))
    times.append(perf_counter())
    rota = Rota(plan.tasks)
    packed = sum(len(chunk.packed()) for chunk in rota.next_round(2))
    times.append(perf_counter())
    found_s, planned_s, packed_s = (after - before for before, after in pairwise(times))
    return {
        "files": float(len(plan.tasks)),
        "find_s": found_s,
        "plan_s": planned_s,
        "first_round_s": packed_s,
        "first_round_bytes": float(packed),
        "bytes_per_file": (resident_bytes(os.getpid()) - held) / len(plan.tasks),
    }


def open_bicubic(*_: object) -> Choice:
    """In place of `choose_engine`: next to no work."""
    return Choice(engine=BicubicEngine(4))


def worker_options(options: ClusterOptions, facts: Facts) -> WorkerOptions:
    """With one thread."""
    return WorkerOptions(cluster=options, wanted=Wanted(), threads=1, mark=MARK, expected=facts)


def noise_folder(folder: Path, count: int, side: int) -> Sources:
    """So many pictures of noise."""
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:06}.png")
    return find_sources([str(folder)])


@contextmanager
def watched_workers() -> Iterator[list[int]]:
    """Yields a list that holds what workers were last seen to take; looked at in another thread, now and then."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY_S):
            seen[:] = workers_bytes() or seen

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def workers_bytes() -> list[int]:
    """Resident memory of each of Ray Data's workers on this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cmdline").read_bytes().startswith(WORKER.encode()):
                found.append(resident_bytes(int(process.name)))
        except OSError:
            continue
    return found


def resident_bytes(process: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check(done: int, expected: int) -> None:
    """Ends the benchmark if pictures failed: its figures would mean nothing."""
    if done != expected:
        sys.exit(f"{done} of {expected} pictures were upscaled")


def show(content: dict[str, Any]) -> None:
    """The ratios, within each round."""
    folder = content["folder"]
    for name, base in (("one worker", "one process"), ("two workers", "one worker")):
        ratios = paired(folder[name], folder[base])
        print(f"{name} over {base}: median {median(ratios):.3f}, {', '.join(f'{ratio:.3f}' for ratio in ratios)}")
    for name in ("start_s", "planning", "chunks"):
        print(name, content[name])


def paired(parts: Sequence[dict[str, Any]], bases: Sequence[dict[str, Any]]) -> list[float]:
    """Seconds of work of a part over those of another, round by round."""
    return [part["work_s"] / base["work_s"] for part, base in zip(parts, bases, strict=True)]


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    if len(given) > len(USUAL):
        sys.exit("usage: python -m benchmarks.cluster [ROUNDS] [PICTURES]")
    main(*given, *USUAL[len(given) :])
