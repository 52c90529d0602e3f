"""`efdn-serve` under load: `python -m benchmarks.load [--minutes 3] [--clients 12] [--jobs 2] [--queue 4]`.

More clients than the server has places send pictures of mixed kinds and sizes, and one in six misbehaves: leaves, sends
slowly, sends garbage. One more takes nothing of a large result until it is cut off. Every result is compared with the
bytes expected. Memory, open files and temporary files of the server's process are read from Linux's /proc. Writes
`benchmarks/results/load.json`, and exits with 1 where anything of `problems` is found.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load_clients import Tally, asked, client, take_nothing
from benchmarks.load_report import Memory, report
from benchmarks.load_samples import Sample, make_samples

RESULTS = Path(__file__).parent / "results"
LOOK_S = 1.0

PAUSE_S = 0.2
"""Between the starts of clients, so that the first finds a place."""

CLEAN_S = 15.0
"""In which the server closes what clients left open; it waits 5 s for the rest of a body."""


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
            threading.Thread(target=client, args=(port, samples, tally, ends, seed), daemon=True)
            for seed in range(arguments.clients)
        ]
        clients.insert(0, threading.Thread(target=take_nothing, args=(port,), daemon=True))
        files_before = open_files(process.pid)
        for thread in clients:
            thread.start()
            time.sleep(PAUSE_S)
        while any(thread.is_alive() for thread in clients):
            memory.seconds.append(time.monotonic() - began)
            memory.megabytes.append(resident_mb(process.pid))
            memory.files.append(open_files(process.pid))
            time.sleep(LOOK_S)
        ends = time.monotonic() + CLEAN_S
        while any((left := what_is_left(process.pid, Path(name), files_before)).values()) and time.monotonic() < ends:
            time.sleep(LOOK_S)
        metrics = asked(port, "GET", "/metrics")[1].decode()
    report(arguments, tally, memory, left, metrics, log.read_text())


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--queue", type=int, default=4)
    parser.add_argument("--output", type=Path, default=RESULTS / "load.json")
    return parser.parse_args()


@contextmanager
def server(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """The command, as a process; its port, and the file of its log, which is left behind."""
    log = Path(tempfile.gettempdir()) / "efdn-serve-load.log"
    command = [sys.executable, "-m", "cli.serve", "--port", "0", "--temp", str(folder)]
    command += ["--jobs", str(arguments.jobs), "--queue", str(arguments.queue)]
    with log.open("w") as file, subprocess.Popen(command, stderr=file, text=True) as process:
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text())):
                if process.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.1)
            yield process, int(found[1]), log
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.returncode != 0:
            sys.exit(f"efdn-serve ended with {process.returncode}")


def expect(port: int, sample: Sample) -> None:
    """Notes what the server makes of a picture when nothing else is going on; tests hold that to `efdn-infer`."""
    status, content = asked(port, "POST", sample.target, sample.content)
    if status != 200:
        sys.exit(f"{sample.name}: {status} {content[:200]!r}")
    sample.digest = hashlib.sha256(content).hexdigest()


def what_is_left(pid: int, folder: Path, files_before: int) -> dict[str, int]:
    """Of requests that are over."""
    return {
        "temporary_files": sum(path.is_file() for path in folder.rglob("*")),
        "open_files_more": max(0, open_files(pid) - files_before),
    }


def resident_mb(pid: int) -> float:
    """Memory of a process; what Linux calls kB are units of 1024 bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024 / 1e6


def open_files(pid: int) -> int:
    """Descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    main()
