"""Cores that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

ROOT = Path("/")


def allowed_cores() -> int:
    """Cores that this process may run on, whatever time it gets there."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores(root: Path = ROOT) -> int:
    """Cores that this process may run on, or fewer where its control group has less time than that.

    A container that may use two cores of sixty-four sees all of them; with a thread for each, all threads stand still
    for most of every period.

    Args:
        root: where `proc` and `sys` are.

    Returns:
        At least 1. Parts of a core are rounded up.
    """
    cores, share = allowed_cores(), _share(root)
    return cores if share is None else max(1, min(cores, math.ceil(share)))


def _share(root: Path) -> float | None:
    """Cores' worth of time that this process gets (cgroups 1 and 2 of Linux); None without a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeError):
        return None
    mounts = root / "sys/fs/cgroup"
    shares: list[float] = []
    for _, controllers, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers:
            shares += _shares(mounts, group, _version_2)
        elif "cpu" in controllers.split(","):
            # The folder may have the names in another order; "cpu" is a link to it then.
            shares += _shares(mounts / controllers, group, _version_1)
            shares += _shares(mounts / "cpu", group, _version_1)
    return min(shares, default=None)


def _shares(mount: Path, group: str, read: Callable[[Path], float | None]) -> list[float]:
    """Limits of a group and of all above it, each of which binds it."""
    parts = [part for part in group.split("/") if part]
    folders = [mount.joinpath(*parts[:count]) for count in range(len(parts) + 1)]
    return [share for folder in folders if (share := read(folder)) is not None]


def _version_2(folder: Path) -> float | None:
    return _quotient(*_words(folder / "cpu.max", 2))


def _version_1(folder: Path) -> float | None:
    return _quotient(*_words(folder / "cpu.cfs_quota_us", 1), *_words(folder / "cpu.cfs_period_us", 1))


def _words(path: Path, count: int) -> list[str]:
    try:
        return path.read_text().split()[:count]
    except (OSError, UnicodeError):
        return []


def _quotient(quota: str = "", period: str = "") -> float | None:
    """None where there is no limit, which is "max" or -1."""
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return None
    return int(quota) / int(period)
