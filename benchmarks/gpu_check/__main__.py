"""`python -m benchmarks.gpu_check`: see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.gpu_check.files import REHEARSAL, SHAPES, prepare
from benchmarks.gpu_check.run import Plan, run_check
from efdn.errors import EfdnError

RESULTS = Path(__file__).parents[1] / "results"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is 0 only if something was measured."""
    options = _parser().parse_args(arguments)
    shapes = REHEARSAL if options.rehearse else SHAPES
    try:
        if options.prepare:
            prepare(options.files, shapes)
            return 0
        plan = Plan(
            pythons=tuple(options.python),
            files=options.files,
            results=options.results,
            shapes=shapes,
            minutes=options.minutes,
            seconds=options.seconds,
            rehearsal=options.rehearse,
        )
        return 0 if run_check(plan) else 1
    except EfdnError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check",
        description="Checks and times everything that needs a GPU. Installs nothing, and says what is absent.",
    )
    parser.add_argument(
        "--python",
        action="append",
        type=Path,
        default=[],
        metavar="PYTHON",
        help="another Python with engines of its own, such as one that has TensorRT; may be repeated",
    )
    parser.add_argument(
        "--files", type=Path, default=Path("out/gpu"), metavar="DIR", help="ONNX files and engines (out/gpu)"
    )
    parser.add_argument(
        "--prepare", action="store_true", help="only export the ONNX files; needs PyTorch and onnx, no GPU"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where to write the results")
    parser.add_argument("--minutes", type=float, default=9.0, help="time to stay within (9)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of steady state for each engine and shape (1.5)")
    parser.add_argument(
        "--rehearse", action="store_true", help="go through all of it on the CPU, tiny; its figures say nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
