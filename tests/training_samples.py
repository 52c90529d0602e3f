"""A small network and a few pictures to train it on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from efdn.network import EFDN
from efdn.training.config import Phase, TrainingConfig
from efdn.training.job import TrainingJob
from efdn.training.presets import CONTINUED
from efdn.weights import save_network

SCALE = 2

SMALL = replace(
    CONTINUED,
    scale=SCALE,
    phases=(
        Phase(until=0.5, loss="charbonnier", patch=40),
        Phase(until=1, loss="l2", patch=48, norms="frozen"),
    ),
    batch=4,
    learning_rate=2e-3,
    warmup_iters=5,
    clip_norm=200.0,
    ema=0.9,
    max_iters=20,
    holdout=2,
    val_every=10,
    log_every=5,
)
"""A recipe that is over in seconds and has everything a long one has."""


def write_pictures(folder: Path, count: int = 20, side: int = 64) -> Path:
    """Smooth waves with edges in them, in colour: something to learn in a few steps."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:side, :side]
    for number in range(count):
        rng = np.random.default_rng(number)
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(0.2, 0.5)
        wave = np.sin(pitch * (np.cos(angle) * rows + np.sin(angle) * columns))
        edge = np.where(rows * rng.uniform(-1, 1) + columns > side / 2, 40, -40)
        colours = rng.uniform(0.3, 1, 3)
        pixels = 128 + (70 * wave + edge)[..., None] * colours
        Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(folder / f"picture-{number:02d}.png")
    return folder


def write_small_network(path: Path) -> Path:
    """Two blocks of ten channels, fresh."""
    torch.manual_seed(0)
    network = EFDN(SCALE, 10, 2, 1)
    with torch.no_grad():
        network.head.pw.weight.div_(255)
        for parameter in network.tail.parameters():
            parameter.mul_(255)
    save_network(network, path)
    return path


def small_job(folder: Path, name: str = "run", *, config: TrainingConfig = SMALL, resume: bool = False) -> TrainingJob:
    """A run over the pictures in `folder`, which are made if they are not there."""
    pictures, weights = folder / "pictures", folder / "start.safetensors"
    if not pictures.exists():
        write_pictures(pictures)
        write_small_network(weights)
    return TrainingJob(
        config=config,
        data=(pictures,),
        output=folder / name,
        init=None if resume else weights,
        resume=resume,
        device="cpu",
        workers=1,
    )
