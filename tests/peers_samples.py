"""Comparisons with peers whose engines are fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import run
from benchmarks.peers.files import Files
from benchmarks.peers.record import Findings
from benchmarks.peers.rows import ROWS, Row, Source, chosen_rows
from benchmarks.peers.run import Plan, compare_peers
from engines.profiling import measure
from tests.profiling_fakes import Behaviour, Workers

KEYS = ("channels-last", "onnxruntime", "openvino", "rfdn-published", "rfdn-onnxruntime", "rfdn-openvino")
CHANNELS_LAST = "pytorch-published-channels-last"


def row(key: str) -> Row:
    return next(row for row in ROWS if row.key == key)


def behaviours(**changes: Behaviour) -> dict[str, Behaviour]:
    usual = {
        "pytorch-published": Behaviour(ms=40.0),
        CHANNELS_LAST: Behaviour(ms=20.0),
        "onnxruntime-cpu": Behaviour(ms=10.0),
        "openvino": Behaviour(ms=8.0),
    }
    return usual | {name.replace("_", "-"): behaviour for name, behaviour in changes.items()}


def compared(workers: Workers, *keys: str, **changes: object) -> Findings:
    """A comparison through fake workers, of files that none of them reads."""
    fields = {"shapes": ((16, 20),), "scaling": (), "seconds": 0.5, **changes}
    plan = Plan(rows=chosen_rows(keys or KEYS), **fields)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "prepare", _prepare)
        patch.setattr(run, "start_patient", workers)
        patch.setattr(measure, "PAUSE_S", 0.0)
        return compare_peers(plan, start=workers, say=lambda text: None)


def _prepare(folder: Path, rows: object, say: object) -> Files:
    for name in ("rfdn.safetensors", "rfdn.onnx"):
        (folder / name).write_bytes(b"1234")
    return Files(folder=folder, absent={Source.ENGINE: "no NVIDIA GPU here"})


def recorded(findings: Findings) -> dict[str, Any]:
    """As it comes back from a file."""
    content: dict[str, Any] = json.loads(json.dumps(findings.as_json("make bench")))
    return content
