"""ONNX Runtime itself, and its sessions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from efdn.errors import EngineError, ModelFileError
from efdn.extras import import_extra
from engines.graphs import first_line, threads_text
from engines.ort.providers import CPU, RECORD_PLACEMENT, SHORT_NAMES, Provider, check_provider, name_of

ERRORS_ONLY = 3

NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Variable that official builds look at while they load."""

FAULTS_OF_THE_FILE = ("INVALID_PROTOBUF", "INVALID_GRAPH", "NO_MODEL", "NO_SUCHFILE")
"""Statuses of ONNX Runtime, in its messages, that would be the same on any provider."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What a session runs, and how.

    Attributes:
        content: the ONNX file.
        model_name: for people.
        providers: in order; the first must do the work.
        threads: of the part on the CPU.
    """

    content: bytes
    model_name: str
    providers: tuple[Provider, ...]
    threads: int


def load_onnxruntime(extra: str) -> ModuleType:
    """The package, told to report nothing, and to keep nothing to be reported.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it does not load.
    """
    # Official builds report usage unless told not to; a picture tool has nothing to report. Told only once they are
    # loaded, they have opened a database in the user's cache by then, and started a thread that looks after it.
    os.environ.setdefault(NO_TELEMETRY, "1")
    ort = import_extra("onnxruntime", extra, "This engine")
    if hasattr(ort, "disable_telemetry_events"):
        ort.disable_telemetry_events()
    return ort


def open_session(ort: ModuleType, graph: Graph, profile_in: Path | None = None) -> Any:
    """Opens a session.

    Args:
        ort: ONNX Runtime.
        graph: what it runs.
        profile_in: folder for a file with the times of its nodes, written when profiling ends.

    Raises:
        ModelFileError: not a readable ONNX file.
        EngineError: the first provider cannot be used, or leaves work to others.
    """
    settings = ort.SessionOptions()
    settings.log_severity_level = ERRORS_ONLY
    settings.intra_op_num_threads = graph.threads
    # Patterns are kept per shape and only grow memory here: after four runs 3.8 kB a pixel with, 2.4 without.
    # The arena stays: without it, every tensor's pages are new, and a run takes more than three times as long.
    # Both figures are from a one-off script.
    settings.enable_mem_pattern = False
    settings.add_session_config_entry(RECORD_PLACEMENT, "1")
    if profile_in is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile_in / "profile")
    wanted = name_of(graph.providers[0])
    try:
        # Its own fall-back would move to the CPU in the middle of a run, with a word on stdout.
        session = ort.InferenceSession(graph.content, settings, providers=list(graph.providers), enable_fallback=0)
    except Exception as error:  # Its exception classes share no public base.
        raise _load_error(graph.model_name, wanted, error) from error
    check_provider(session, wanted)
    return session


def _load_error(model_name: str, provider: str, error: Exception) -> EngineError:
    reason = first_line(error)
    if provider == CPU or any(status in reason for status in FAULTS_OF_THE_FILE):
        return ModelFileError(
            f"ONNX Runtime cannot load {model_name}, which is damaged or no ONNX file: export it anew ({reason})"
        )
    return EngineError(
        f"ONNX Runtime cannot open {model_name} on {SHORT_NAMES.get(provider, provider)}: {reason}; "
        "check that driver and libraries are those it needs, or use --engine onnxruntime-cpu"
    )


def detail_of(ort: ModuleType, providers: Sequence[Provider], threads: int) -> str:
    """Version and device, for people."""
    first = name_of(providers[0])
    return f"ONNX Runtime {ort.__version__}, " + (threads_text(threads) if first == CPU else SHORT_NAMES[first])
