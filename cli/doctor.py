"""`efdn-doctor`: tells what a machine has, what is wrong with it, and which engines run there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from cli.runner import new_app, run, show_version
from efdn.errors import EngineError, UsageError

PROGRAM = "efdn-doctor"

app = new_app("Tell which engines run on this machine, and what is amiss.")


@app.command()
def doctor(
    models: Annotated[
        Optional[list[Path]],
        typer.Argument(metavar="MODEL...", help="Weights, ONNX files or TensorRT engines to try as well."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Run no engine: tell from what is installed.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Try engines too that are only used on request; takes longer.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tell what this machine has, what is wrong and how to mend it, and which engines run here.

    Every engine is tried on a small picture, in a process of its own, and compared
    with the first one that runs. A TensorRT engine is tried where its file is given.
    The exit code is 0 only if something can run, and every file that is given. Home
    folders and the names in them are left out, so that it may be pasted into bug reports.
    """
    if quick and models:
        raise UsageError("--quick runs nothing: leave it out to have model files tried")
    from cli.doctor_text import as_text
    from cli.progress import progress_bar
    from engines.doctor.examine import examine
    from engines.doctor.summary import as_json as plain_values
    from engines.doctor.summary import summarise

    with progress_bar("examining") as progress:
        examination = examine(models or (), everything=everything, quick=quick, progress=progress)
    if as_json:
        typer.echo(json.dumps(plain_values(examination), indent=2))
    else:
        typer.echo(as_text(examination, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    failure = summarise(examination).failure
    if failure is not None:
        raise EngineError(failure)


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
