"""How large tiles may be, by the memory that is free."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engines.protocol import Engine, StagedEngine

HOST_SIDES = (288, 192, 128, 96)
"""Sides of tiles on a CPU. Larger ones cost memory and gain little: between 288 and 544 the pixels computed for a
picture of 5000x5000 shrink from 1.35 to 1.17 times its own."""

DEVICE_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96)
"""Sides of tiles on a GPU, where a launch costs the same for any size. What they take is known once they have run."""

HOST_BYTES_A_PIXEL = 9_200
"""Of the small picture, on the CPU. The packaged graph takes 2,000 in ONNX Runtime and 3,000 in OpenVINO (`python -m
benchmarks.memory`), but PyTorch takes 7,700, and graphs of which the blocks are not added up take 9,000."""

SHARE = 0.5
"""Of the free memory that a tile may take; pictures and other programs need some too."""

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")

INSTALLED_SHARE = 0.25
"""Of the memory installed, taken to be free where the system does not tell what is."""


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
    return min(known) if known else _guessed_bytes()


def _machine_bytes() -> int | None:
    for line in _text(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _group_bytes() -> int | None:
    """What is left of a container's limit; what it holds of files can be given back."""
    limit, usage = _text(CGROUP / "memory.max").strip(), _text(CGROUP / "memory.current").strip()
    if not limit.isdigit() or not usage.isdigit():
        return None
    fields = dict(line.split()[:2] for line in _text(CGROUP / "memory.stat").splitlines() if len(line.split()) == 2)
    return max(0, int(limit) - int(usage) + int(fields.get("inactive_file", 0)))


def _guessed_bytes() -> int | None:
    """A share of what is installed; Windows does not tell even that."""
    try:
        return int(INSTALLED_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
