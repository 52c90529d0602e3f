"""Commands of this folder: how they end, and how they run others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping

from efdn.errors import EfdnError, EngineError


def exit_code_of(work: Callable[[], None], name: str) -> int:
    """Does the work of a command; what it refuses is a line on stderr, and not a traceback.

    Args:
        work: the command's.
        name: of the command, for that line.
    """
    try:
        work()
    except EfdnError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run_module(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a module prints as a process of its own.

    Args:
        module: as after `python -m`.
        arguments: its command line.
        environment: all of its variables; those of this process without.

    Raises:
        EngineError: it failed; the message ends in its own last line.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"python -m {module} {' '.join(arguments)} ended with exit code {done.returncode}: {said}")
    return done.stdout
