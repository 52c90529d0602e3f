"""What an error is over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from efdn.errors import (
    ConfigError,
    EfdnError,
    ImageError,
    OutOfMemoryError,
    OutputError,
    ShapeError,
    TooLargeError,
    UsageError,
)
from engines.batch.failures import explain
from engines.batch.names import printable

LEFT = 499
"""Status in the log of requests whose client left: there is no answer. nginx logs it so."""

OPTION_WITH_VALUE = re.compile(r"--(alpha|bits|color|frames) (\w+)\b")
OPTION = re.compile(r"--(alpha|background|bits|color|compression|frames|quality|scale|size)\b")
"""Options of `efdn-infer` that are parameters here."""


class ServeError(EfdnError):
    """A request that is answered with an error.

    Args:
        status: of the answer.
        message: one line.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class ClientLeftError(ServeError):
    """Nobody waits for the answer any more."""

    def __init__(self) -> None:
        super().__init__(LEFT, "the client left")


class BusyError(ServeError):
    """The server is about to end, or has no room."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(503, message, {"Retry-After": str(retry_after_s)})


def answer_to(error: BaseException, *, folder: Path | None = None, name: str = "the picture") -> ServeError:
    """The answer to a request that failed.

    Args:
        error: whatever was raised.
        folder: of the request's files, whose paths clients are not told.
        name: what the client calls its picture.
    """
    if isinstance(error, ServeError):
        return error
    explained = explain(error)
    message = told(explained.reason, folder, name)
    if isinstance(error, TooLargeError):
        return ServeError(
            413,
            f"{name} has {error.width}x{error.height} pixels, more than the {error.max_pixels} that this server takes: "
            "crop it, or have the server started with a larger --max-pixels",
        )
    if isinstance(error, (OutOfMemoryError, MemoryError)):
        return ServeError(507, "out of memory: try a smaller picture, or again when less is going on")
    if explained.disk_full:
        return ServeError(507, "the server's disk is full: try again later, or a smaller picture")
    if isinstance(error, (ImageError, OutputError, UsageError, ConfigError, ShapeError)):
        return ServeError(422, message)
    if isinstance(error, EfdnError):
        return ServeError(500, message)
    return ServeError(500, "the server failed at this request, which it should not: its log says more")


def told(message: str, folder: Path | None, name: str) -> str:
    """A message as `efdn-infer` has it in the words of the API: its options as parameters, files by clients' names.

    Args:
        message: one line.
        folder: of the request's files.
        name: what the client calls its picture.
    """
    if folder is not None:
        start = re.escape(str(folder)) + r"[/\\]"
        message = re.sub(start + r"result\.\w+", "the result", message)
        message = re.sub(start + r"[\w.-]+", lambda _: name, message)
    return printable(_in_parameters(message))


def _in_parameters(message: str) -> str:
    return OPTION.sub(r"\1", OPTION_WITH_VALUE.sub(r"\1=\2", message))
