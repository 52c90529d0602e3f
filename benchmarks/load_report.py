"""What came of a server under load."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.load_clients import Tally
from benchmarks.machine import machine
from efdn.files import write_json
from engines.profiling.machine import load_average

WARM_UP_SHARE = 1 / 3
"""Of the run, in which memory may grow: libraries keep what they have taken, until each sort of picture has come."""

MOST_GROWTH = 1.10
"""Of memory, after the warm-up: its mean in the last fifth over that in the first."""


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


def report(
    arguments: argparse.Namespace, tally: Tally, memory: Memory, left: dict[str, int], metrics: str, log: str
) -> None:
    """Prints and writes the figures; exits with 1 where there are problems."""
    seconds = np.array(sorted(tally.seconds))
    marks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    found = re.findall(r'efdn_requests_total\{path="([^"]+)",status="(\d+)"\} ([\d.]+)', metrics)
    content = {
        "machine": machine(),
        "load_average_of_one_minute": load_average(),
        "options": {name: value for name, value in vars(arguments).items() if name != "output"},
        "answers": dict(tally.statuses),
        "misbehaved": dict(tally.misbehaved),
        "lost": tally.lost,
        "cut_off": log.count("took its result too slowly"),
        "latency_s": {name: float(np.percentile(seconds, mark)) for name, mark in marks.items()},
        "seconds": [round(float(value), 4) for value in seconds],
        "server_statuses": {status: int(float(count)) for path, status, count in found if path == "/upscale"},
        "failed_requests": sum(int(float(count)) for _, status, count in found if status == "500"),
        "memory": memory.summary(),
        "left": left,
        "log": {"lines": len(log.splitlines()), "tracebacks": log.count("Traceback")},
    }
    content["problems"] = problems(content)
    write_json(arguments.output, content)
    shown = {
        name: content[name]
        for name in ("answers", "misbehaved", "latency_s", "server_statuses", "cut_off", "left", "log")
    }
    for name, value in shown.items():
        print(f"{name}: {value}")
    trend = {name: value for name, value in memory.summary().items() if name != "rss_mb"}
    print(f"memory: {trend}\nlost: {tally.lost or 'nothing'}")
    print(f"problems: {content['problems'] or 'none'}")
    if content["problems"]:
        sys.exit(1)


def problems(content: dict[str, Any]) -> list[str]:
    """What must not be."""
    growth = content["memory"]["last_over_first_fifth"]
    said = {
        f"lost: {len(content['lost'])}": content["lost"],
        "no picture was answered": not content["answers"].get("200"),
        f"answered with 500: {content['failed_requests']}": content["failed_requests"],
        f"left: {content['left']}": any(content["left"].values()),
        f"memory grew to {growth:.3f} of what it was, {MOST_GROWTH} is allowed": growth > MOST_GROWTH,
        "a client that takes nothing was not cut off": not content["cut_off"],
        f"tracebacks in the log: {content['log']['tracebacks']}": content["log"]["tracebacks"],
    }
    return [text for text, found in said.items() if found]
