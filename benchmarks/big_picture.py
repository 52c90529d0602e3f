"""A large picture in little memory: `python -m benchmarks.big_picture [SIDE] [ENDING]`.

Makes a picture of SIDE x SIDE pixels (5000 unless given, which becomes 20000) of the example photos, upscales it with
`efdn-infer` in a process of its own, and prints that process's largest resident size, as Linux tells it, and the time.
The pictures lie in a temporary folder, which needs some gigabytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples" / "lr"
POLL_S = 0.2


def main(side: int, ending: str) -> None:
    """Prints what was written, peak memory and time."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "large.png", Path(folder) / f"large_x4{ending}"
        mosaic(side).save(source, compress_level=1)
        command = [sys.executable, "-m", "cli.infer", str(source), "-o", str(target)]
        began = time.perf_counter()
        process = subprocess.Popen(command)
        peak = 0
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            time.sleep(POLL_S)
        if process.returncode:
            sys.exit(process.returncode)
        seconds = time.perf_counter() - began
        print(
            f"{side}x{side} to {4 * side}x{4 * side}: peak {peak / 1e9:.2f} GB resident, {seconds:.0f} s, "
            f"{side * side / seconds / 1e3:.1f} thousand pixels a second, {target.stat().st_size / 1e9:.2f} GB written"
        )


def mosaic(side: int) -> Image.Image:
    """The example photos side by side, each other one mirrored so that no two neighbours are alike."""
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(EXAMPLES.glob("*.png"))]
    strip = np.concatenate([*photos, *(photo[::-1, ::-1] for photo in photos)], axis=1)
    rows, columns = -(-side // strip.shape[0]), -(-side // strip.shape[1])
    whole = np.concatenate([np.roll(np.tile(strip, (1, columns, 1)), 200 * row, axis=1) for row in range(rows)])
    return Image.fromarray(np.ascontiguousarray(whole[:side, :side]))


def peak_bytes(pid: int) -> int:
    """Largest resident size of a process so far; 0 once it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, sys.argv[2] if len(sys.argv) > 2 else ".png")
