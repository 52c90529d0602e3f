"""`efdn-inspect`: tells what a model file is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cli.layout import line_length
from cli.runner import new_app, run, show_version
from efdn.errors import ArtefactError

if TYPE_CHECKING:
    from efdn.inspection.report import Inspection

PROGRAM = "efdn-inspect"
LINE_LENGTH = 110
INDENT, GAP = "  ", "  "

app = new_app("Tell what a model file is: weights, an ONNX file or a TensorRT engine.")


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="Weights, ONNX file or TensorRT engine.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tell what a model file is, and whether the sidecar beside it is its own.

    Needs neither a GPU nor TensorRT, PyTorch or onnx. The exit code is 1 where the
    file is broken, or its sidecar describes another one.
    """
    from efdn.inspection.report import inspect_file

    inspection = inspect_file(file)
    typer.echo(json.dumps(inspection.as_json(), indent=2) if as_json else _text(inspection))
    if inspection.problems:
        raise ArtefactError(f"{file}: {'; '.join(inspection.problems)}")


def _text(inspection: Inspection) -> str:
    """Titles, and under them names and what they stand for in two columns."""
    sections = inspection.sections()
    width = max(len(name) for _, facts in sections for name, _ in facts) + len(INDENT) + len(GAP)
    blocks = []
    for title, facts in sections:
        lines = [title]
        for name, text in facts:
            first, *others = _wrapped(text, line_length(LINE_LENGTH) - width)
            lines.append(f"{INDENT}{name}".ljust(width) + first)
            lines += [" " * width + line for line in others]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _wrapped(text: str, width: int) -> list[str]:
    """A text in lines that end at a comma; what has none stays whole, for it is to be copied."""
    lines = [""]
    for part in text.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) + 3 > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] += f", {part}" if lines[-1] else part
    return lines


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
