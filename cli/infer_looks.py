"""`efdn-infer` for those who look rather than upscale: engines side by side, and the error of tiles."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from cli.infer_options import PROGRAM
from cli.progress import notify
from efdn.errors import ImageError, UsageError

if TYPE_CHECKING:
    from efdn.pictures.picture import Pixels
    from engines.batch.sources import Sources
    from engines.inference.wanted import Wanted
    from engines.options import RunOptions
    from engines.protocol import Engine
    from engines.tiling.verify import Distance, TileError


def compare_all_engines(
    sources: Sources, model: Optional[Path], options: RunOptions, wanted: Wanted, *, json_lines: bool
) -> None:
    """Runs every engine on each picture and prints a table."""
    from engines.comparison.engines import compare_engines, engine_table
    from engines.tiling.upscaling import upscaled_rows

    def run(engine: Engine, pixels: Pixels) -> Pixels:
        import numpy as np

        return np.concatenate(list(upscaled_rows(engine, pixels, wanted.enlarging.tiling)))

    for path, pixels in _pictures(sources, "--engine all", wanted):
        rows = compare_engines(pixels, None, model, options, run=run, report=lambda name: notify(name))
        if json_lines:
            typer.echo(json.dumps({"picture": str(path), "engines": [row.to_json() for row in rows]}))
        else:
            typer.echo(f"{path}  {pixels.shape[1]}x{pixels.shape[0]}")
            typer.echo("\n".join(f"  {line}" for line in engine_table(rows)))


def verify_all_tiles(sources: Sources, engine: Engine, wanted: Wanted, *, json_lines: bool) -> None:
    """Measures what tiles change, on each picture."""
    failed = False
    for path, whole in _pictures(sources, "--verify-tiles", wanted):
        try:
            _verify(path, whole, engine, wanted, json_lines=json_lines)
        except UsageError as error:
            print(f"{PROGRAM}: {path}: {error}", file=sys.stderr)
            failed = True
    if failed:
        raise typer.Exit(1)


def _verify(path: Path, whole: Pixels, engine: Engine, wanted: Wanted, *, json_lines: bool) -> None:
    from engines.tiling.verify import BAND, middle_that_fits, verify_tiles

    tiling = wanted.enlarging.tiling
    pixels = middle_that_fits(engine, whole)
    height, width = pixels.shape[:2]
    errors = verify_tiles(engine, pixels, tiling)
    if json_lines:
        overlaps = [error.to_json() for error in errors]
        typer.echo(json.dumps({"picture": str(path), "height": height, "width": width, "overlaps": overlaps}))
        return
    first = next(errors)  # Before anything is said: it may be that there is nothing to measure.
    part = "" if pixels.shape == whole.shape else f", the middle {width}x{height} that fits into memory whole"
    typer.echo(f"{path}  {whole.shape[1]}x{whole.shape[0]}{part}")
    typer.echo(f"  tiles against the whole picture; border: the outermost {BAND} pixels of the small picture")
    typer.echo(f"  {'overlap':>7}  {'tile':>9}  {'tiles':>5}  {'pixels':>6}  {'interior':>26}  {'border':>26}")
    for error in (first, *errors):
        typer.echo(_line(error, tiling.overlap))


def _line(error: TileError, chosen: int) -> str:
    size = f"{error.tile[1]}x{error.tile[0]}"
    mark = "*" if error.overlap == chosen else " "
    cells = f"{error.overlap:>7}  {size:>9}  {error.tiles:>5}  {error.cost:>5.2f}x"
    return f" {mark}{cells}  {_distance(error.interior)}  {_distance(error.border)}"


def _distance(distance: Distance) -> str:
    """In 26 columns."""
    if math.isinf(distance.psnr_db):
        return f"{'equal':>26}"
    levels = f"{distance.levels} level{'' if distance.levels == 1 else 's'}"
    return f"{distance.psnr_db:>6.1f} dB {distance.largest:>6.2f} {levels:>9}"


def _pictures(sources: Sources, option: str, wanted: Wanted) -> Iterator[tuple[Path, Pixels]]:
    """Each picture with its path, (H, W, 3) uint8, on white where it is transparent; raises Exit after failures."""
    from efdn.pictures.reading import read_picture
    from engines.inference.comparing import as_shown

    failures = [f"{outcome.reason}" for outcome in sources.outcomes]
    pictures = [source.path for source in sources.found if not source.video]
    if not pictures:
        raise UsageError(f"{option} takes pictures, got videos only")
    for path in pictures:
        try:
            picture = read_picture(path, max_pixels=wanted.max_pixels)
        except ImageError as error:
            failures.append(str(error))
        else:
            yield path, as_shown(replace(picture, warnings=()))
    for failure in failures:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(1)
