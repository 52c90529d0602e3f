"""`python -m benchmarks.peers`: see the package."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import exit_code_of
from benchmarks.marked_text import check_place, write_between
from benchmarks.peers.charts import bars, curves
from benchmarks.peers.record import SCHEMA
from benchmarks.peers.rows import ROWS, chosen_rows
from benchmarks.peers.run import FRAME, SCALING, SHAPES, Plan, compare_peers
from benchmarks.peers.table import full_tables, short_table
from cli.options import parse_shape
from efdn.errors import OutputError, ParityError, UsageError
from efdn.files import check_target, reason_of, staged, write_json
from efdn.shapes import Side

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "README.md"
COMMAND = "make bench"
RECORD = "peers.json"
FULL_SECONDS = 2.0
"""Of steady state, for figures on the project's pages."""

MEASURING = ("seconds", "shape", "only", "minutes", "compile", "all")
"""Options that say what is measured."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is not 0 where outputs differ, or nothing could be compared.

    Args:
        arguments: of the command line; this process's own if None.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)

    def work() -> None:
        content = _read(options) if options.redraw is not None else _measured(options, given)
        for path in write_results(content, options.out):
            print(f"written: {path}")
        print(f"\n{short_table(content)}")

    return exit_code_of(work, "bench")


def write_results(content: dict[str, Any], out: Path | None) -> list[Path]:
    """Writes figures, tables and charts to a folder, or to their places in the project.

    Args:
        content: as `Findings.as_json` gives it.
        out: a folder for all of them; none of the project's pages is touched then.

    Raises:
        OutputError: they cannot be written; what was there before stays.
    """
    results, pictures = (RESULTS, ROOT / "docs") if out is None else (out, out)
    texts = {
        results / "peers.md": full_tables(content),
        pictures / "peers.svg": bars(content),
        pictures / "scaling.svg": curves(content),
    }
    write_json(results / RECORD, content)
    for path, text in texts.items():
        with staged(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    written = [results / RECORD, *texts]
    if out is None:
        write_between(PAGE, COMMAND, short_table(content))
        written.append(PAGE)
    return written


def _measured(options: argparse.Namespace, given: Sequence[str]) -> dict[str, Any]:
    """What a new comparison finds.

    Raises:
        ParityError: outputs differ; what was found is in the record, and in no table.
    """
    plan = _plan(options)
    part = options.only or options.shape or options.seconds < FULL_SECONDS
    if part and options.out is None:
        raise UsageError(f"a part of the comparison is not for {PAGE.name}: give a folder with --out")
    _check_places(options.out)  # Before the work, not after it.
    found = compare_peers(plan, say=lambda text: print(text, flush=True))
    content = found.as_json(f"python -m benchmarks.peers {shlex.join(given)}" if given else COMMAND)
    if found.different is not None:
        write_json((options.out or RESULTS) / RECORD, content)
        raise ParityError(found.different)
    return content


def _read(options: argparse.Namespace) -> dict[str, Any]:
    """A record, once it is known that it can be drawn.

    Raises:
        UsageError: it goes with another option, or is no record that this version reads.
        ParityError: its outputs differ.
        OutputError: what is drawn could not be written.
    """
    path: Path = options.redraw
    usual = _parser().parse_args([])
    measuring = [name for name in MEASURING if getattr(options, name) != getattr(usual, name)]
    if measuring:
        raise UsageError(f"--redraw measures nothing: leave out --{measuring[0]}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason_of(error)}") from error
    except ValueError as error:
        raise UsageError(f"expected the JSON of a comparison in {path}, got something else: {error}") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"expected a comparison of schema {SCHEMA} in {path}, got {schema}: measure anew")
    if content.get("different") is not None:
        raise ParityError(content["different"])
    _check_places(options.out)
    return dict(content)


def _check_places(out: Path | None) -> None:
    """Raises OutputError where the results could not be written."""
    if out is None:
        check_place(PAGE, COMMAND)
    else:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {out}: {reason_of(error)}") from error
    check_target((out or RESULTS) / RECORD)


def _plan(options: argparse.Namespace) -> Plan:
    asked: tuple[Side, ...] = tuple(dict.fromkeys(parse_shape(text) for text in options.shape))
    if options.all and asked:
        raise UsageError("--all does not go with --shape: give one or the other")
    shapes = asked or (*SHAPES, *([FRAME] if options.all else []))
    return Plan(
        rows=chosen_rows(options.only),
        shapes=shapes,
        scaling=() if asked else SCALING,
        seconds=options.seconds,
        minutes=options.minutes,
        compiled=options.compile,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="Times EFDN through this toolkit beside what people would use instead, all taking turns.",
    )
    parser.add_argument(
        "--seconds", type=float, default=FULL_SECONDS, help="of steady state for each row and shape (2)"
    )
    parser.add_argument(
        "--shape", action="append", default=[], metavar="HxW", help="instead of the usual ones; may be repeated"
    )
    keys = ", ".join(row.key for row in ROWS)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=f"only this row and the baseline; of {keys}"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for all results; the project's own stay as they are")
    parser.add_argument("--minutes", type=float, default=11.0, help="time to stay within, torch.compile apart (11)")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile too, at 64x64; it compiles for some ten minutes"
    )
    parser.add_argument("--all", action="store_true", help="720x1280 too, as far as time and memory allow")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="measure nothing: tables and charts of a record")
    return parser


if __name__ == "__main__":
    sys.exit(main())
