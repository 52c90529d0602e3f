"""The one logger a process may give to each TensorRT module.

TensorRT keeps the first logger it is handed and ignores later ones, so builders
and engines share it and listen in while they work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass
class Messages:
    """What a TensorRT module said.

    Attributes:
        details: lines at the verbose level.
        errors: messages at the error level.
    """

    details: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def last_error(self) -> str:
        """The last error in one line, or that there was none."""
        return " ".join(self.errors[-1].split()) if self.errors else "no error was logged"


_loggers: dict[Any, Any] = {}


def logger_of(trt: ModuleType) -> Any:
    """The process's logger for a TensorRT module; it prints nothing."""
    if trt.ILogger not in _loggers:
        _loggers[trt.ILogger] = _make_logger(trt)
    return _loggers[trt.ILogger]


@contextmanager
def listening(trt: ModuleType) -> Iterator[Messages]:
    """Yields what the module says while the context is open. Contexts do not nest."""
    logger, messages = logger_of(trt), Messages()
    logger.messages = messages
    try:
        yield messages
    finally:
        logger.messages = None


def _make_logger(trt: ModuleType) -> Any:
    severity = trt.ILogger.Severity
    failures = (severity.ERROR, severity.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: Messages | None = None

        def log(self, level: Any, text: str) -> None:
            messages = self.messages  # Once: an engine on another thread may stop listening meanwhile.
            if messages is None:
                return
            if level in failures:
                messages.errors.append(text)
            elif level == severity.VERBOSE:
                messages.details.extend(text.splitlines())

    return Logger()
