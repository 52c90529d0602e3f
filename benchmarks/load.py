"""`efdn-serve` under load: `python -m benchmarks.load [--minutes 3] [--clients 12] [--jobs 2] [--queue 4]`.

More clients than the server has places send pictures of mixed kinds and sizes, and one in six misbehaves: leaves, sends
slowly, sends garbage. Every result is compared with the bytes expected. Memory, open files and temporary files of the
server's process are read from Linux's /proc. Writes `benchmarks/results/load.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load_samples import Sample, make_samples
from benchmarks.machine import machine
from efdn.files import write_json
from engines.profiling.machine import load_average

RESULTS = Path(__file__).parent / "results"
MISBEHAVING = 1 / 6
LOOK_S = 1.0
WARM_UP_SHARE = 1 / 3
"""Of the run, in which memory may grow: libraries keep what they have taken, until each sort of picture has come."""

LONGEST_PAUSE_S = 5.0
"""Before a client that got 503 asks again; Retry-After may ask for more."""


@dataclass(kw_only=True)
class Tally:
    """What happened, counted by all clients."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    statuses: Counter[str] = field(default_factory=Counter)
    misbehaved: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def answered(self, status: int, seconds: float, problem: str | None) -> None:
        """Counts an answer to a client that behaved."""
        with self.guard:
            self.statuses[str(status)] += 1
            if status == 200:
                self.seconds.append(seconds)
            if problem is not None:
                self.lost.append(problem)


@dataclass(kw_only=True)
class Memory:
    """What the server's process held, each second."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The trend after the warm-up: a slope, and the mean of the last fifth over that of the first."""
        kept = [
            (at, size)
            for at, size in zip(self.seconds, self.megabytes, strict=True)
            if at >= WARM_UP_SHARE * self.seconds[-1]
        ]
        times, sizes = np.array(kept).T
        fifth = max(1, len(sizes) // 5)
        return {
            "slope_mb_a_minute": float(np.polyfit(times, sizes, 1)[0] * 60),
            "last_over_first_fifth": float(sizes[-fifth:].mean() / sizes[:fifth].mean()),
            "largest_mb": max(self.megabytes),
            "rss_mb": [round(size, 1) for size in self.megabytes],
            "most_open_files": max(self.files),
        }


def main() -> None:
    """Loads a server for some minutes, and prints and writes what came of it."""
    arguments = parsed()
    tally, memory = Tally(), Memory()
    with tempfile.TemporaryDirectory() as name, server(arguments, Path(name)) as (process, port, log):
        samples = make_samples()
        for sample in samples:
            expect(port, sample)
        began, ends = time.monotonic(), time.monotonic() + 60 * arguments.minutes
        clients = [
            threading.Thread(target=client, args=(port, samples, tally, ends, seed))
            for seed in range(arguments.clients)
        ]
        files_before = open_files(process.pid)
        for thread in clients:
            thread.start()
        while any(thread.is_alive() for thread in clients):
            memory.seconds.append(time.monotonic() - began)
            memory.megabytes.append(resident_mb(process.pid))
            memory.files.append(open_files(process.pid))
            time.sleep(LOOK_S)
        time.sleep(2)
        left = {
            "temporary_files": sum(path.is_file() for path in Path(name).rglob("*")),
            "open_files_more": open_files(process.pid) - files_before,
        }
        metrics = asked(port, "GET", "/metrics")[1].decode()
    report(arguments, tally, memory, left, metrics, log.read_text())


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--queue", type=int, default=4)
    return parser.parse_args()


@contextmanager
def server(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """The command, as a process; its port, and the file of its log, which is left behind."""
    log = Path(tempfile.gettempdir()) / "efdn-serve-load.log"
    command = [sys.executable, "-m", "cli.serve", "--port", "0", "--temp", str(folder)]
    command += ["--jobs", str(arguments.jobs), "--queue", str(arguments.queue)]
    with log.open("w") as file, subprocess.Popen(command, stderr=file, text=True) as process:
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text())):
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.1)
        yield process, int(found[1]), log
        process.terminate()
        if process.wait(60) != 0:
            sys.exit(f"efdn-serve ended with {process.returncode}")


def expect(port: int, sample: Sample) -> None:
    """Notes what the server makes of a picture when nothing else is going on; tests hold that to `efdn-infer`."""
    status, content = asked(port, "POST", sample.target, sample.content)
    if status != 200:
        sys.exit(f"{sample.name}: {status} {content[:200]!r}")
    sample.digest = hashlib.sha256(content).hexdigest()


def client(port: int, samples: list[Sample], tally: Tally, ends: float, seed: int) -> None:
    """Sends picture after picture, now and then badly, until the time is over."""
    chance = random.Random(seed)
    while time.monotonic() < ends:
        sample = chance.choice(samples)
        if chance.random() < MISBEHAVING:
            misbehave(port, sample, chance, tally)
            continue
        began = time.perf_counter()
        try:
            status, content = asked(port, "POST", sample.target, sample.content)
        except OSError as error:
            tally.answered(0, 0.0, f"{sample.name}: {error}")
            continue
        problem = None
        if status == 200 and hashlib.sha256(content).hexdigest() != sample.digest:
            problem = f"{sample.name}: other bytes"
        elif status not in (200, 503):
            problem = f"{sample.name}: {status} {content[:100]!r}"
        tally.answered(status, time.perf_counter() - began, problem)
        if status == 503:
            time.sleep(chance.uniform(0.1, LONGEST_PAUSE_S))


def asked(port: int, method: str, target: str, content: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of an answer.

    Raises:
        OSError: there was none, or not all of it.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, target, content, {"Content-Type": "application/octet-stream"} if content else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        connection.close()


def misbehave(port: int, sample: Sample, chance: random.Random, tally: Tally) -> None:
    """Does one of the things that clients should not."""
    kind = chance.choice(["leaves", "aborts its upload", "sends slowly", "garbage", "does not read"])
    with tally.guard:
        tally.misbehaved[kind] += 1
    if kind == "garbage":
        with suppress(OSError):
            asked(port, "POST", "/upscale", chance.randbytes(5000))
        return
    head = f"POST {sample.target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: "
    whole = f"{head}{len(sample.content)}\r\n\r\n".encode() + sample.content
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        if kind == "aborts its upload":
            connection.sendall(whole[: len(whole) // 2])
        elif kind == "sends slowly":
            step = max(1, len(whole) // 20)
            for start in range(0, len(whole), step):
                connection.sendall(whole[start : start + step])
                time.sleep(0.1)
            connection.recv(1000)
        else:
            connection.sendall(whole)
            time.sleep(chance.uniform(0, 2 if kind == "leaves" else 6))


def resident_mb(pid: int) -> float:
    """Memory of a process; Linux counts kilobytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1e3


def open_files(pid: int) -> int:
    """Descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def report(
    arguments: argparse.Namespace, tally: Tally, memory: Memory, left: dict[str, int], metrics: str, log: str
) -> None:
    """Prints and writes the figures; exits with 1 where something was lost."""
    seconds = np.array(sorted(tally.seconds))
    marks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    content = {
        "machine": machine(),
        "load_average_of_one_minute": load_average(),
        "options": vars(arguments),
        "answers": dict(tally.statuses),
        "misbehaved": dict(tally.misbehaved),
        "lost": tally.lost,
        "latency_s": {name: float(np.percentile(seconds, mark)) for name, mark in marks.items()},
        "seconds": [round(float(value), 4) for value in seconds],
        "server_statuses": dict(re.findall(r'efdn_requests_total\{path="/upscale",status="(\d+)"\} ([\d.]+)', metrics)),
        "memory": memory.summary(),
        "left": left,
        "log": {"lines": len(log.splitlines()), "tracebacks": log.count("Traceback")},
    }
    write_json(RESULTS / "load.json", content)
    shown = {name: content[name] for name in ("answers", "misbehaved", "latency_s", "server_statuses", "left", "log")}
    for name, value in shown.items():
        print(f"{name}: {value}")
    trend = {name: value for name, value in memory.summary().items() if name != "rss_mb"}
    print(f"memory: {trend}\nlost: {tally.lost or 'nothing'}")
    if tally.lost or log.count("Traceback"):
        sys.exit(1)


if __name__ == "__main__":
    main()
