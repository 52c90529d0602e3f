"""Peak memory of one picture through the packaged model on the CPU: `python -m benchmarks.memory [SIDE ...]`.

Each size runs in a process of its own, and what the process held before the picture is taken off. Needs a POSIX system.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np

from engines.select import choose_engine
from engines.whole import upscale

SIDES = (256, 512, 768)
ONE = "--one"


def main(sides: list[int]) -> None:
    """Measures every size in a fresh process."""
    for side in sides:
        subprocess.run([sys.executable, "-m", "benchmarks.memory", ONE, str(side)], check=True)


def measure(side: int) -> None:
    """Upscales one picture of side x side pixels and prints what it took."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    with choose_engine(name="onnxruntime-cpu").engine as engine:
        before = peak_gigabytes()
        upscale(engine, pixels)
    taken = peak_gigabytes() - before
    print(f"{side}x{side}  {taken:.2f} GB, {taken / (side * side / 1e6):.1f} GB a megapixel", flush=True)


def peak_gigabytes() -> float:
    """Largest resident size of this process so far; Linux counts kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        measure(int(sys.argv[2]))
    else:
        main([int(side) for side in sys.argv[1:]] or list(SIDES))
