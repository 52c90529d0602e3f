"""What `efdn-train` shows while it runs, and at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from efdn.training.job import Outcome, Progress, TrainingJob

MOST_SKIPPED = 5
MUCH_WAITING = 0.1
"""Share of the time; above it the data, not the network, sets the pace."""


def show_start(job: TrainingJob) -> None:
    """What is about to be done, on stderr."""
    config = job.config
    end = [f"{config.max_iters} steps"] if config.max_iters else []
    end += [duration(config.max_time_s)] if config.max_time_s else []
    print(
        f"{'resuming' if job.resume else 'training'} x{config.scale}, preset {config.preset}: {' or '.join(end)}, "
        f"batch {config.batch}, learning rate {config.learning_rate:g}; in {job.output}",
        file=sys.stderr,
        flush=True,
    )


@contextmanager
def progress_shown() -> Iterator[Callable[[Progress], None]]:
    """Yields what shows progress on stderr: a bar on a terminal, a line for each report elsewhere."""
    if not sys.stderr.isatty():
        yield lambda progress: print(line(progress), file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0, text="first steps")
        yield lambda progress: bar.update(task, completed=progress.share, text=line(progress))


def line(progress: Progress) -> str:
    """A report in one line."""
    validation = "" if progress.val_psnr_db is None else f"  val {progress.val_psnr_db:.3f} dB"
    return (
        f"step {progress.iteration}  loss {progress.loss:.3f}  PSNR {progress.psnr_db:.2f} dB{validation}  "
        f"{progress.images_per_s:.1f} images/s  waiting {progress.waiting_share:.1%}  "
        f"{duration(progress.left_s)} left"
    )


def show_outcome(outcome: Outcome) -> None:
    """What came of a run, and what to do with it."""
    ended = "done" if outcome.finished else "stopped"
    typer.echo(
        f"{ended} after {outcome.iteration} steps and {duration(outcome.elapsed_s)}: "
        f"{outcome.images_per_s:.1f} images/s, {outcome.waiting_share:.1%} of the time spent waiting for data"
    )
    if outcome.waiting_share > MUCH_WAITING:
        typer.echo("  the data set the pace: try a larger --cache-gb, --cache-dir, or more --workers")
    if outcome.first_val_db is not None and outcome.last_val_db is not None:
        best = "" if outcome.best_val_db is None else f", best {outcome.best_val_db:.3f} dB"
        typer.echo(
            f"  validation PSNR (RGB) {outcome.first_val_db:.3f} dB at the start, "
            f"{outcome.last_val_db:.3f} dB at the end{best}"
        )
        if outcome.best_val_db is not None and outcome.best_val_db < outcome.first_val_db:
            typer.echo("  never better than at the start: keep what you had, or try a lower --learning-rate")
    if outcome.skipped:
        typer.echo(f"  {len(outcome.skipped)} pictures left out:")
        for name, reason in sorted(outcome.skipped.items())[:MOST_SKIPPED]:
            typer.echo(f"    {name}: {reason}")
        if len(outcome.skipped) > MOST_SKIPPED:
            typer.echo("    and others: see skipped.txt")
    weights = outcome.output / "weights.safetensors"
    typer.echo(f"  {weights}\n  {outcome.output / 'curve.svg'}")
    if outcome.finished:
        typer.echo(f"next: efdn-eval FOLDER -m {weights}, or efdn-infer picture.png -m {weights}")
    else:
        typer.echo(f"next: efdn-train DATA --resume {outcome.output}")


def duration(seconds: float) -> str:
    """ "1 h 05 min", "3 min 20 s" or "12 s"."""
    if seconds == float("inf"):
        return "unknown time"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
