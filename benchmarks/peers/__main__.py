"""`python -m benchmarks.peers`: see the package."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from benchmarks.marked_text import check_place, write_between
from benchmarks.peers.charts import bars, curves
from benchmarks.peers.rows import ROWS, chosen_rows
from benchmarks.peers.run import FRAME, SCALING, SHAPES, Plan, compare_peers
from benchmarks.peers.table import full_tables, short_table
from cli.options import parse_shape
from efdn.errors import EfdnError, UsageError
from efdn.files import check_target, staged, write_json
from efdn.shapes import Side

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "README.md"
COMMAND = "make bench"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is not 0 where outputs differ, or nothing could be compared."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    try:
        plan = _plan(options)
        _check_places(options.out)  # Before the work, not after it.
        if options.redraw is not None:
            content = json.loads(options.redraw.read_text(encoding="utf-8"))
        else:
            found = compare_peers(plan, say=lambda text: print(text, flush=True))
            content = found.as_json(f"python -m benchmarks.peers {shlex.join(given)}" if given else COMMAND)
        for path in write_results(content, options.out):
            print(f"written: {path}")
        print(f"\n{short_table(content)}")
    except EfdnError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


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
    write_json(results / "peers.json", content)
    for path, text in texts.items():
        with staged(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    written = [results / "peers.json", *texts]
    if out is None:
        write_between(PAGE, COMMAND, short_table(content))
        written.append(PAGE)
    return written


def _check_places(out: Path | None) -> None:
    """Raises OutputError where the results could not be written."""
    if out is None:
        check_place(PAGE, COMMAND)
        check_target(RESULTS / "peers.json")
        return
    out.mkdir(parents=True, exist_ok=True)
    check_target(out / "peers.json")


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
    parser.add_argument("--seconds", type=float, default=2.0, help="of steady state for each row and shape (2)")
    parser.add_argument(
        "--shape", action="append", default=[], metavar="HxW", help="instead of the usual ones; may be repeated"
    )
    keys = ", ".join(row.key for row in ROWS)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=f"only this row and the baseline; of {keys}"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for all results; the project's own stay as they are")
    parser.add_argument("--minutes", type=float, default=9.5, help="time to stay within, torch.compile apart (9.5)")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile too, at 64x64; it compiles for some ten minutes"
    )
    parser.add_argument("--all", action="store_true", help="720x1280 too, as far as time and memory allow")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="measure nothing: tables and charts of a record")
    return parser


if __name__ == "__main__":
    sys.exit(main())
