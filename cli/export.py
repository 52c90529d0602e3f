"""`efdn-export`: ONNX graphs and TensorRT engines from weights."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from cli.export_onnx import onnx
from cli.export_options import list_passes_when_bare
from cli.export_triton import triton
from cli.export_trt import trt
from cli.runner import new_app, run, show_version
from efdn.errors import UsageError

PROGRAM = "efdn-export"

app = new_app("Export weights to verified ONNX graphs and TensorRT engines.", invoke_without_command=True)


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Export weights to verified ONNX graphs and TensorRT engines."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(UsageError.exit_code)


app.command()(onnx)
app.command()(trt)
app.command()(triton)


def entry() -> NoReturn:
    """Entry point of the command."""
    sys.argv[1:] = list_passes_when_bare(sys.argv[1:])
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
