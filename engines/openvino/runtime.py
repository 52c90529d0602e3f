"""The OpenVINO package, without the part of it that reports its use, and its core.

Importing OpenVINO sends an event to its makers, and leaves an identifier in the home
folder, unless the user has opted out. It does without where the package that does so
is not installed, and that is what it finds here. Nothing else in OpenVINO reports.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from types import ModuleType
from typing import Any

from efdn.extras import import_extra

REPORTING = "openvino_telemetry"


def load_openvino(purpose: str = "This engine") -> ModuleType:
    """Imports OpenVINO.

    Args:
        purpose: what needs it, as the subject of a sentence.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it does not load.
    """
    with without_reporting():
        return import_extra("openvino", "openvino", purpose)


_one_at_a_time = Lock()


def openvino_core() -> Any:
    """The one `openvino.Core` of this process, which is never let go.

    With its first use it gives the thread at work another stack for signal handlers, and takes the memory of that
    stack back when it is let go, whichever thread that happens in (2026.4). In another one, the first Ctrl-C after it
    would end the process with a segmentation fault.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        EngineError: it does not load.
    """
    with _one_at_a_time:
        return _core()


@cache
def _core() -> Any:
    return load_openvino().Core()


@contextmanager
def without_reporting() -> Iterator[None]:
    """While this lasts, OpenVINO's reporting is as if not installed, if nobody has imported it yet."""
    if REPORTING in sys.modules:
        yield
        return
    sys.modules[REPORTING] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[REPORTING]
