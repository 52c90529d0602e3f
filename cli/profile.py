"""`efdn-profile`: times engines side by side."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from cli.options import parse_shapes
from cli.profile_text import show_profile
from cli.progress import notify, progress_bar
from cli.runner import new_app, run, show_version
from efdn.errors import EngineError, OutputError, UsageError

if TYPE_CHECKING:
    from engines.profiling.measure import Settings
    from engines.profiling.plan import Planned
    from engines.profiling.record import Profile

PROGRAM = "efdn-profile"
STDOUT = Path("-")

app = new_app("Time engines side by side.")


class Graphs(str, Enum):
    """With CUDA graphs, without, or both as two subjects."""

    on = "on"
    off = "off"
    both = "both"


GRAPHS = {Graphs.on: (True,), Graphs.off: (False,), Graphs.both: (True, False)}


@app.command()
def profile(
    models: Annotated[
        Optional[list[Path]],
        typer.Argument(
            metavar="MODEL...", help="Weights, ONNX files, TensorRT engines; the packaged x4 model if none."
        ),
    ] = None,
    engine: Annotated[
        Optional[list[str]],
        typer.Option("--engine", "-e", metavar="NAME", help="Engine to time; auto if none. May be repeated."),
    ] = None,
    baseline: Annotated[
        Optional[str],
        typer.Option("--baseline", metavar="NAME", help="Engine to compare with; see above for what it is otherwise."),
    ] = None,
    no_baseline: Annotated[bool, typer.Option("--no-baseline", help="Compare with the first engine.")] = False,
    shape: Annotated[
        Optional[list[str]],
        typer.Option(
            "--shape", metavar="HxW", help="Size of the picture; 256x256, or what engines with fixed shapes take."
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Pictures at once.")] = 1,
    seconds: Annotated[float, typer.Option("--seconds", help="To measure, for each engine and shape.")] = 3.0,
    warm_up: Annotated[float, typer.Option("--warm-up", help="Seconds of running before that.")] = 0.5,
    threads: Annotated[
        Optional[int], typer.Option("--threads", help="Of CPU engines; one for each core if not given.")
    ] = None,
    cuda_graph: Annotated[
        Optional[Graphs], typer.Option("--cuda-graph", help="Of TensorRT engines: on if not given; both compares.")
    ] = None,
    starts: Annotated[
        bool,
        typer.Option(
            "--starts/--no-starts", help="Time cold and warm starts, with caches of their own; or not, with yours."
        ),
    ] = True,
    layers: Annotated[
        bool, typer.Option("--layers", help="Time the parts of the network too, where the engine tells.")
    ] = False,
    json_file: Annotated[
        Optional[Path],
        typer.Option("--json", metavar="FILE.json", help="Write figures and all raw times; - for stdout."),
    ] = None,
    page: Annotated[
        Optional[Path],
        typer.Option("--page", metavar="FILE.html", help="Write a page with distributions, stages and layers."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace these files if they are there.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Time engines side by side, each in a process of its own.

    Every engine runs every MODEL of the kind that it reads. They take turns in
    short slices, so that their ratios hold although the machine's speed drifts,
    and their outputs are compared. Times are milliseconds; the picture is a photo.

    The baseline of the ratios is pytorch-published: PyTorch eager in FP32, with
    the network as its authors published it. It joins by itself where PyTorch is
    installed and the weights are known: with no MODEL, with a weights file among
    them, or with models that were exported from the packaged weights. Otherwise
    the first engine is the baseline.

    The exit code is 1 where an engine failed; the others are measured all the same.
    """
    check_numbers(batch, seconds, warm_up, threads)
    if baseline is not None and no_baseline:
        raise UsageError("--baseline does not go with --no-baseline: give one")
    check_targets(json_file, page, overwrite=overwrite)
    sides = parse_shapes(shape or [])
    from engines.profiling.measure import Settings
    from engines.profiling.plan import plan_shapes, plan_subjects

    planned = plan_subjects(
        models or [],
        engine or [],
        baseline=baseline,
        default_baseline=not no_baseline,
        graphs=GRAPHS[cuda_graph or Graphs.on],
        threads=threads,
    )
    check_shapes(sides)
    _check_graphs(cuda_graph, planned)
    settings = Settings(seconds=seconds, warm_up_s=warm_up, batch=batch, starts=starts, layers=layers)
    done = _run(planned, plan_shapes(planned, sides), settings, only_fitting=not sides)
    if json_file == STDOUT:
        typer.echo(json.dumps(done.as_json(), indent=2))
    else:
        show_profile(done)
    _write(done, None if json_file == STDOUT else json_file, page, quiet=json_file == STDOUT)
    _raise_failures(done)


def check_numbers(batch: int, seconds: float, warm_up: float, threads: int | None) -> None:
    """Raises UsageError for numbers that mean nothing."""
    if batch < 1:
        raise UsageError(f"--batch must be at least 1, got {batch}")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--seconds must be more than 0, got {seconds:g}")
    if not 0 <= warm_up < float("inf"):
        raise UsageError(f"--warm-up must be at least 0, got {warm_up:g}")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be at least 1, got {threads}")


def check_targets(json_file: Path | None, page: Path | None, *, overwrite: bool) -> None:
    """Raises OutputError for files that cannot or must not be written; asked before any work."""
    from efdn.files import check_target

    wanted = [(None if json_file == STDOUT else json_file, (".json",)), (page, (".html", ".htm"))]
    for path, allowed in wanted:
        if path is None:
            continue
        if path.suffix.lower() not in allowed:
            raise OutputError(f"cannot write {path}: expected a name ending in {' or '.join(allowed)}")
        if check_target(path).exists() and not overwrite:
            raise OutputError(f"{path} exists: give --overwrite to replace it, or another name")


def check_shapes(sides: list[tuple[int, int]]) -> None:
    """Raises UsageError for a picture smaller than the network takes."""
    from efdn.config import MIN_SIDE

    for height, width in sides:
        if min(height, width) < MIN_SIDE:
            raise UsageError(f"--shape must be at least {MIN_SIDE}x{MIN_SIDE}, got {height}x{width}")


def _check_graphs(asked: Graphs | None, planned: tuple[Planned, ...]) -> None:
    from engines.registry import ModelKind, model_kind

    models = [entry.subject.model for entry in planned if entry.subject.model is not None]
    if asked is not None and not any(model_kind(model) is ModelKind.ENGINE for model in models):
        raise UsageError("--cuda-graph concerns TensorRT engines, and there is none among the models")


def _run(
    planned: tuple[Planned, ...], shapes: tuple[tuple[int, int], ...], settings: Settings, *, only_fitting: bool
) -> Profile:
    from engines.profiling.record import run_profile

    names = ", ".join(entry.name for entry in planned)
    notify(f"profiling {names} at {', '.join('{}x{}'.format(*side) for side in shapes)}")
    with progress_bar("profiling") as report:
        return run_profile(
            planned,
            shapes,
            settings,
            command=[PROGRAM, *sys.argv[1:]],
            report=report,
            only_fitting=only_fitting,
        )


def _write(done: Profile, json_file: Path | None, page: Path | None, *, quiet: bool) -> None:
    from efdn.files import staged, write_json

    if json_file is not None:
        write_json(json_file, done.as_json())
    if page is not None:
        from engines.profiling.page import profile_page

        with staged(page) as temporary:
            temporary.write_text(profile_page(done), encoding="utf-8")
    for label, path in (("figures", json_file), ("page", page)):
        if path is not None and not quiet:
            typer.echo(f"{label:<8} {path}")


def _raise_failures(done: Profile) -> None:
    failed = done.failed
    if failed:
        names = "; ".join(f"{lane.name} at {shape.title}: {lane.error}" for shape, lane in failed)
        raise EngineError(f"{len(failed)} of {sum(len(shape.lanes) for shape in done.shapes)} runs failed: {names}")


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
