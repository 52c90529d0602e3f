"""`efdn-train`: trains a network, from scratch or from weights."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from cli.runner import new_app, run, show_version
from cli.train_options import TrainOptions, training_job
from cli.train_text import progress_shown, show_outcome, show_start

PROGRAM = "efdn-train"
INTERRUPTED = 130

app = new_app("Train EFDN on pictures.")


@app.command()
def train(
    data: Annotated[
        Optional[list[Path]],
        typer.Argument(metavar="DATA...", help="Folders, .tar shards, lists of files (.txt) or pictures to train on."),
    ] = None,
    preset: Annotated[
        Optional[str],
        typer.Option("--preset", help="published (default), strong, continue or finetune; see above."),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Folder of the run; runs/PRESET-xSCALE if not given.")
    ] = None,
    resume: Annotated[
        Optional[Path], typer.Option("--resume", metavar="FOLDER", help="Go on with the run in that folder.")
    ] = None,
    init: Annotated[
        Optional[Path],
        typer.Option("--init", metavar="WEIGHTS", help="Start from these weights; of another scale, from their body."),
    ] = None,
    validation: Annotated[
        Optional[list[Path]],
        typer.Option("--val", metavar="DATA", help="Pictures to validate on; some of DATA are held out if none."),
    ] = None,
    scale: Annotated[Optional[int], typer.Option("--scale", "-s", help="2, 3 or 4 (default).")] = None,
    max_time: Annotated[
        Optional[str], typer.Option("--max-time", help="Fit the run into a time such as 45m or 2h.")
    ] = None,
    max_iters: Annotated[Optional[int], typer.Option("--max-iters", help="End after that many steps.")] = None,
    batch: Annotated[Optional[int], typer.Option("--batch", help="Patches a step, over all processes.")] = None,
    patch: Annotated[Optional[int], typer.Option("--patch", help="Side of a patch in HR pixels.")] = None,
    learning_rate: Annotated[Optional[float], typer.Option("--learning-rate", help="Highest learning rate.")] = None,
    warmup: Annotated[Optional[int], typer.Option("--warmup", help="Steps of rising learning rate.")] = None,
    loss: Annotated[Optional[str], typer.Option("--loss", help="l1, charbonnier or l2 throughout.")] = None,
    norms: Annotated[
        Optional[str], typer.Option("--norms", help="batch or frozen throughout: where norms take their statistics.")
    ] = None,
    ema: Annotated[Optional[float], typer.Option("--ema", help="Decay of the averaged weights; 0 for none.")] = None,
    clip: Annotated[Optional[float], typer.Option("--clip", help="Longest gradient; 0 for any.")] = None,
    seed: Annotated[Optional[int], typer.Option("--seed", help="Of first weights and patches.")] = None,
    amp: Annotated[Optional[str], typer.Option("--amp", help="bf16 or fp16 arithmetic, for GPUs.")] = None,
    compiled: Annotated[
        Optional[bool], typer.Option("--compile/--no-compile", help="Use torch.compile, for GPUs.")
    ] = None,
    channels_last: Annotated[
        Optional[bool], typer.Option("--channels-last/--no-channels-last", help="Memory format, for GPUs.")
    ] = None,
    validation_every: Annotated[Optional[int], typer.Option("--val-every", help="Steps between validations.")] = None,
    device: Annotated[Optional[str], typer.Option("--device", help="cpu, cuda or cuda:N; a GPU if there is.")] = None,
    workers: Annotated[int, typer.Option("--workers", help="Threads that make patches.")] = 2,
    cache_gb: Annotated[float, typer.Option("--cache-gb", help="Memory for decoded pictures, in GiB.")] = 4.0,
    cache_dir: Annotated[
        Optional[Path],
        typer.Option("--cache-dir", help="Folder for decoded pictures, where there are more than fit in memory."),
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train EFDN on pictures; their small versions are made by bicubic downscaling.

    Presets: published, the recipe of the paper (batch 128, squared error, made for GPUs);
    strong, a robust loss first, frozen norms and larger patches late, averaged weights;
    continue, for weights that are not done yet, on a small machine; finetune, for your
    own photos, from the packaged weights.

    The folder of the run gets weights.safetensors (the averaged weights so far),
    best.safetensors (those that validated best), last.pt (for --resume), log.csv,
    curve.svg and config.json. Ctrl-C ends the step, writes them and stops.

    Several GPUs: torchrun --nproc-per-node N -m cli.train DATA ...
    """
    job = training_job(
        TrainOptions(
            data=tuple(data or ()),
            output=output,
            preset=preset,
            resume=resume,
            init=init,
            validation=tuple(validation or ()),
            scale=scale,
            max_time=max_time,
            max_iters=max_iters,
            batch=batch,
            patch=patch,
            learning_rate=learning_rate,
            warmup=warmup,
            loss=loss,
            norms=norms,
            ema=ema,
            clip=clip,
            seed=seed,
            amp=amp,
            compiled=compiled,
            channels_last=channels_last,
            validation_every=validation_every,
            device=device,
            workers=workers,
            cache_gb=cache_gb,
            cache_dir=cache_dir,
            tensorboard=tensorboard,
        )
    )
    from efdn.training.job import silent
    from efdn.training.trainer import train as run_training

    speaks = os.environ.get("RANK", "0") == "0"  # torchrun's; the first process speaks for all
    if speaks:
        show_start(job)
    with progress_shown() if speaks else nullcontext(silent) as shown:
        outcome = run_training(job, shown)
    if speaks:
        show_outcome(outcome)
    if not outcome.finished:
        raise typer.Exit(INTERRUPTED)


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
