"""`efdn-eval`: measures how near upscaled pictures are to their originals."""

from __future__ import annotations

import json
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from cli.evaluate_text import show_evaluation
from cli.options import DEFAULT_MAX_PIXELS
from cli.progress import notify, progress_bar
from cli.runner import new_app, run, show_version
from efdn.errors import OutputError, UsageError

if TYPE_CHECKING:
    from engines.evaluation.record import Evaluation, Request
    from engines.evaluation.sheet import Sheet

PROGRAM = "efdn-eval"
FOLDER_VARIABLE = "EFDN_BENCH"
STDOUT = Path("-")

app = new_app("Measure PSNR and SSIM on sets of pictures.")


class ConventionName(str, Enum):
    """Ways of measuring; see `engines.evaluation.conventions`."""

    challenge = "challenge"
    matlab = "matlab"


@app.command()
def evaluate(
    folders: Annotated[
        Optional[list[Path]],
        typer.Argument(metavar="FOLDER...", help="Sets of pictures; the folder that EFDN_BENCH names if none."),
    ] = None,
    model: Annotated[
        Optional[list[Path]],
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="Weights, ONNX file or TensorRT engine; the packaged x4 model if none. May be repeated.",
        ),
    ] = None,
    engine: Annotated[
        Optional[list[str]],
        typer.Option("--engine", "-e", metavar="NAME", help="Engine to measure; auto if none. May be repeated."),
    ] = None,
    convention: Annotated[
        ConventionName, typer.Option("--convention", help="challenge: RGB first; matlab: Y first, rounded to 8 bits.")
    ] = ConventionName.challenge,
    border: Annotated[int, typer.Option("--border", help="Pixels of the large picture to leave out on each side.")] = 4,
    pad: Annotated[
        int, typer.Option("--pad", help="Pixels to mirror each picture outwards by before the network; cropped after.")
    ] = 0,
    max_pictures: Annotated[
        Optional[int], typer.Option("--max-pictures", help="Of each set, the first by name; all if not given.")
    ] = None,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest small picture to take, in pixels, padding included.")
    ] = DEFAULT_MAX_PIXELS,
    per_image: Annotated[bool, typer.Option("--per-image", help="List every picture, too.")] = False,
    factsheet: Annotated[
        bool,
        typer.Option("--factsheet", help="Add the NTIRE challenge's columns, beside what was published."),
    ] = False,
    json_file: Annotated[
        Optional[Path], typer.Option("--json", metavar="FILE.json", help="Write all figures; - for stdout.")
    ] = None,
    sheet: Annotated[
        Optional[Path],
        typer.Option("--sheet", metavar="FILE.png", help="Write crops to look at: bicubic, network, original."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace these files if they are there.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Measure PSNR and SSIM on sets of pictures, beside bicubic upscaling.

    A FOLDER is a set, or holds sets. A set has folders HR and LRx4 (or LR, or
    LR_bicubic/X4 with names such as 0801x4.png), or HR alone, or it is a folder of
    large pictures. Where there are no small ones, they are made by bicubic downscaling
    with antialiasing, large pictures being cropped to multiples of the scale before.

    PSNR is in dB. Results are measured as 8-bit pictures. The border is 4 pixels, as in
    the challenge, at every scale; papers leave out as many as the scale.
    """
    check_numbers(border, pad, max_pictures, max_pixels)
    check_targets(json_file, sheet, overwrite=overwrite)
    chosen = tuple(folders or _usual_folders())
    from engines.evaluation.conventions import CONVENTIONS
    from engines.evaluation.record import Request
    from engines.evaluation.result import Settings
    from engines.evaluation.sheet import Sheet
    from engines.profiling.plan import plan_subjects

    request = Request(
        folders=chosen,
        planned=plan_subjects(model or [], engine or [], default_baseline=False),
        settings=Settings(convention=CONVENTIONS[convention.value], border=border, pad=pad),
        max_pixels=max_pixels,
        at_most=max_pictures,
        factsheet=factsheet,
    )
    gathered = Sheet(request.settings.convention)
    done = _run(request, gathered)
    if json_file == STDOUT:
        typer.echo(json.dumps(done.as_json(), indent=2))
    else:
        show_evaluation(done, per_image=per_image)
    _write(done, gathered, None if json_file == STDOUT else json_file, sheet, quiet=json_file == STDOUT)


def check_numbers(border: int, pad: int, max_pictures: int | None, max_pixels: int) -> None:
    """Raises UsageError for numbers that mean nothing."""
    for name, value, least in (
        ("--border", border, 0),
        ("--pad", pad, 0),
        ("--max-pictures", max_pictures, 1),
        ("--max-pixels", max_pixels, 1),
    ):
        if value is not None and value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")


def check_targets(json_file: Path | None, sheet: Path | None, *, overwrite: bool) -> None:
    """Raises OutputError for files that cannot or must not be written; asked before any work."""
    from efdn.files import check_target

    for path, ending in ((None if json_file == STDOUT else json_file, ".json"), (sheet, ".png")):
        if path is None:
            continue
        if path.suffix.lower() != ending:
            raise OutputError(f"cannot write {path}: expected a name ending in {ending}")
        if check_target(path).exists() and not overwrite:
            raise OutputError(f"{path} exists: give --overwrite to replace it, or another name")


def _usual_folders() -> list[Path]:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise UsageError(
            f"no FOLDER given: expected folders of pictures, each with HR and LRx4 in it or of HR pictures alone; "
            f"or set {FOLDER_VARIABLE} to one that is always taken"
        )
    return [Path(folder)]


def _run(request: Request, gathered: Sheet) -> Evaluation:
    from engines.evaluation.record import run_evaluation

    names = ", ".join(entry.name for entry in request.planned)
    notify(f"measuring {names} on {', '.join(map(str, request.folders))}")
    with progress_bar("measuring") as report:
        return run_evaluation(request, command=[PROGRAM, *sys.argv[1:]], report=report, look=gathered.add)


def _write(done: Evaluation, gathered: Sheet, json_file: Path | None, sheet: Path | None, *, quiet: bool) -> None:
    from efdn.files import write_json
    from efdn.images import Photo, write_photo

    if json_file is not None:
        write_json(json_file, done.as_json())
    if sheet is not None:
        models = ", ".join(dict.fromkeys(method.model for method in done.methods))
        write_photo(Photo(pixels=gathered.render(f"{models}, x{done.scale}")), sheet)
    for label, path in (("figures", json_file), ("sheet", sheet)):
        if path is not None and not quiet:
            typer.echo(f"{label:<8} {path}")


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
