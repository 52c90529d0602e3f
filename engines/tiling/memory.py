"""How large tiles may be, by the memory that is free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engines.protocol import Engine, StagedEngine

HOST_SIDES = (288, 192, 128, 96)
"""Sides of tiles on a CPU. Larger ones cost memory and gain little: what overlaps shrinks from 1.27 to 1.13 times
the pixels between 288 and 544."""

DEVICE_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96)
"""Sides of tiles on a GPU, where a launch costs the same for any size. What they take is known once they have run."""

HOST_BYTES_A_PIXEL = 9_200
"""Of the small picture, through ONNX Runtime on the CPU: `python -m benchmarks.memory`."""

SHARE = 0.5
"""Of the free memory that a tile may take; pictures and other programs need some too."""

MEMINFO = Path("/proc/meminfo")
CGROUP_LIMIT, CGROUP_USAGE = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def sides_to_try(engine: Engine) -> Iterator[int]:
    """Longest sides of tiles, the best first; what follows is for when memory turns out to be short."""
    if isinstance(engine, StagedEngine):
        yield from DEVICE_SIDES
        return
    free = free_bytes()
    for side in HOST_SIDES:
        if free is None or side == HOST_SIDES[-1] or side * side * HOST_BYTES_A_PIXEL <= SHARE * free:
            yield side


def free_bytes() -> int | None:
    """Memory that this process may still take, or None where the system does not tell."""
    known = [value for value in (_machine_bytes(), _group_bytes()) if value is not None]
    return min(known) if known else None


def _machine_bytes() -> int | None:
    for line in _text(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _group_bytes() -> int | None:
    """What is left of a container's limit."""
    limit, usage = _text(CGROUP_LIMIT).strip(), _text(CGROUP_USAGE).strip()
    return max(0, int(limit) - int(usage)) if limit.isdigit() and usage.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
