"""Training speed over a plain loop of the published form: `python -m benchmarks.training DATA`.

Two sides train the same network on the same patches with the same recipe, data loading included, each in
processes of its own, in turns: the published form in PyTorch eager FP32 with PyTorch's usual Adam and memory,
and `efdn-train` as it comes. Their losses must agree, or the faster one would be doing something else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS, STEPS, WARM_UP = 5, 12, 3
BATCH, PATCH = 8, 192
SIDES = ("published", "efdn-train")


def main() -> None:
    """Runs both sides in turns and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", choices=SIDES, help="run one side once and print it as JSON")
    parser.add_argument("--json", type=Path, help="write raw figures there")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(run_side(arguments.side, arguments.data)))
        return
    rounds: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(ROUNDS):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            command = [sys.executable, "-m", "benchmarks.training", str(arguments.data), "--side", side]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rounds[side].append(json.loads(output.splitlines()[-1]))
    show(rounds)
    if arguments.json:
        from benchmarks.machine import machine
        from efdn.files import write_json

        write_json(arguments.json, {"machine": machine(), "rounds": rounds})


def show(rounds: dict[str, list[dict[str, Any]]]) -> None:
    """A line for each side, then the ratio of medians and the largest difference of the losses."""
    speeds = {side: median(entry["images_per_s"] for entry in entries) for side, entries in rounds.items()}
    for side, entries in rounds.items():
        every = ", ".join(f"{entry['images_per_s']:.2f}" for entry in entries)
        waiting = median(entry["waiting_share"] for entry in entries)
        print(f"{side:<12} {speeds[side]:6.2f} images/s (rounds: {every}); waiting for data {waiting:.2%}")
    published, fast = (rounds[side][0]["losses"] for side in SIDES)
    apart = max(abs(a - b) / a for a, b in zip(published, fast, strict=True))
    print(f"ratio {speeds['efdn-train'] / speeds['published']:.2f}x; losses of {len(fast)} steps differ by {apart:.1e}")


def run_side(side: str, data: Path) -> dict[str, Any]:
    """Trains for some steps; the first few are not timed."""
    import torch

    from efdn.mixing import mix_pixels_published
    from efdn.network import TokenMixer
    from efdn.training.allocator import keep_freed_memory
    from efdn.training.config import Phase
    from efdn.training.data import open_data
    from efdn.training.distributed import Team
    from efdn.training.job import TrainingJob
    from efdn.training.learner import Learner
    from efdn.training.prefetch import Prefetcher
    from efdn.training.presets import STRONG
    from efdn.training.start import starting_network

    fast = side == "efdn-train"
    phase = Phase(until=1, loss="l1", patch=PATCH)
    config = replace(STRONG, phases=(phase,), batch=BATCH, ema=None, clip_norm=None, holdout=0, fast_form=fast)
    team = Team(rank=0, size=1, device=torch.device("cpu"))
    if fast:
        keep_freed_memory()
    network = starting_network(config, None)
    if not fast:
        for module in network.modules():
            if isinstance(module, TokenMixer):
                module.mix = mix_pixels_published
    learner = Learner(network, config, team)
    patches = open_data(TrainingJob(config=config, data=(data,), output=Path()), team).patches
    losses = []
    with Prefetcher(patches.batch, start=0, stop=WARM_UP + STEPS) as batches:
        for number, batch in batches:
            if number == WARM_UP:
                started, waited = time.perf_counter(), batches.waited_s
            rate = config.learning_rate * (number + 1) / 500
            step = learner.step(batch.lr, batch.hr, phase, rate=rate, number=number + 1)
            losses.append(float(step.loss))
    seconds = time.perf_counter() - started
    return {
        "images_per_s": STEPS * BATCH / seconds,
        "waiting_share": (batches.waited_s - waited) / seconds,
        "losses": losses,
    }


if __name__ == "__main__":
    main()
