"""Training speed over a plain loop of the published form: `python -m benchmarks.training DATA`.

Two sides train the same network on the same patches, data loading included, each in processes of its own, in
turns: a plain loop over the published form (PyTorch eager, FP32, PyTorch's usual Adam and memory), and the step of
`efdn-train` with its average and its clipping (of gradients longer than come up). Norms measure batches
on both sides, as published. The losses must agree, or the faster one would be doing something else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from efdn.training.config import Phase
from efdn.training.patches import Batch

if TYPE_CHECKING:
    from efdn.network import EFDN
    from efdn.training.config import TrainingConfig
    from efdn.training.distributed import Team

ROUNDS, STEPS, WARM_UP = 5, 12, 3
BATCH, RATE = 8, 2e-4
PHASE = Phase(until=1, loss="l1", patch=192)
TrainStep = Callable[[Batch, int], float]
SIDES = ("published", "efdn-train")
MOST_APART = 1e-3
"""Of a loss; rounding grows from step to step."""


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
    pairs = zip(rounds[SIDES[0]], rounds[SIDES[1]], strict=True)
    ratios = [own["images_per_s"] / plain["images_per_s"] for plain, own in pairs]
    print(
        f"ratio {median(ratios):.2f}x (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}); "
        f"losses of {len(fast)} steps differ by at most {apart:.1e} of themselves"
    )
    if apart > MOST_APART:
        raise SystemExit(f"the losses differ by more than {MOST_APART:g}: the sides do not do the same")


def run_side(side: str, data: Path) -> dict[str, Any]:
    """Trains for some steps; the first few are not timed."""
    import torch

    from efdn.training.allocator import keep_freed_memory
    from efdn.training.data import open_data
    from efdn.training.distributed import Team
    from efdn.training.job import TrainingJob
    from efdn.training.prefetch import Prefetcher
    from efdn.training.presets import STRONG
    from efdn.training.start import starting_network

    config = replace(STRONG, phases=(PHASE,), batch=BATCH, holdout=0, clip_norm=1e6, max_time_s=None)
    team = Team(rank=0, size=1, device=torch.device("cpu"))
    if side == "efdn-train":
        keep_freed_memory()
    network = starting_network(config, None)
    step = plain_step(network) if side == "published" else own_step(network, config, team)
    patches = open_data(TrainingJob(config=config, data=(data,), output=Path()), team).patches
    losses, started, waited = [], 0.0, 0.0
    with Prefetcher(patches.batch, start=0, stop=WARM_UP + STEPS) as batches:
        for number, batch in batches:
            if number == WARM_UP:
                started, waited = time.perf_counter(), batches.waited_s
            losses.append(step(batch, number + 1))
    seconds = time.perf_counter() - started
    return {
        "images_per_s": STEPS * BATCH / seconds,
        "waiting_share": (batches.waited_s - waited) / seconds,
        "losses": losses,
    }


def plain_step(network: EFDN) -> TrainStep:
    """A loop as one writes it, with the rates of each parameter that the other side has."""
    import torch

    from efdn.mixing import mix_pixels_published
    from efdn.network import TokenMixer

    for module in network.modules():
        if isinstance(module, TokenMixer):
            module.mix = mix_pixels_published
    network.train()
    special = {"head.pw.weight": 1 / 255, "tail.0.weight": 255.0, "tail.0.bias": 255.0}
    groups = [{"params": [p], "lr": RATE * special.get(name, 1.0)} for name, p in network.named_parameters()]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))

    def step(batch: Batch, number: int) -> float:
        lr, hr = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float().contiguous() for pixels in (batch.lr, batch.hr))
        optimizer.zero_grad()
        loss: torch.Tensor = (network(lr) - hr).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return step


def own_step(network: EFDN, config: TrainingConfig, team: Team) -> TrainStep:
    """The step of `efdn-train`."""
    from efdn.training.learner import Learner

    learner = Learner(network, config, team)

    def step(batch: Batch, number: int) -> float:
        return learner.step(batch.lr, batch.hr, PHASE, rate=RATE, number=number).loss.item()

    return step


if __name__ == "__main__":
    main()
