"""Runs a command: one call, one place where errors become a line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn

import typer

from efdn.errors import EfdnError
from efdn.files import reason_of

INTERRUPTED = 130

# click's UsageError, which typer re-exports under no name of its own and has vendored since 0.26.
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def new_app(summary: str, *, invoke_without_command: bool = False) -> typer.Typer:
    """A typer application in this project's style: plain help, no shell-completion options, no own tracebacks."""
    return typer.Typer(
        help=summary,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        invoke_without_command=invoke_without_command,
    )


def show_version(asked: bool) -> None:
    """Callback of `--version`."""
    if asked:
        from efdn.version import __version__

        typer.echo(f"efdn {__version__}")
        raise typer.Exit


def run(app: typer.Typer, program: str) -> NoReturn:
    """Runs the application on the command line and exits.

    Exit codes: 0 done, 1 an error, 2 a command line that cannot be understood, 130 interrupted.
    """
    # A name that the terminal cannot show must not undo the work done.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name=program, standalone_mode=False)
    except EfdnError as error:
        _fail(program, str(error), error.exit_code)
    except USAGE_ERROR as error:
        message = getattr(error, "format_message", error.__str__)()
        _fail(program, f"{message} (see {program} --help)", 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail(program, "interrupted", INTERRUPTED)
    except MemoryError:
        _fail(program, "out of memory: try a smaller picture or shape", 1)
    except BrokenPipeError:
        # The reader of stdout has gone, as in `efdn-export ... | head -1`; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # What no room has foreseen: a name too long, a folder that may not be entered.
        _fail(program, f"{error.filename or 'the system'}: {reason_of(error)}", 1)
    if code == INTERRUPTED:  # Newer typers turn the exception into this code themselves.
        _fail(program, "interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(program: str, message: str, code: int) -> NoReturn:
    """Prints one line on stderr and exits."""
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
