"""Running `efdn-inspect` in this process, and files to run it on."""

import io
import re
import struct
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import cli.inspection
from efdn.files import sha256_of_file
from efdn.shapes import ShapeRange
from efdn.sidecar import EngineBuild, Sidecar, sidecar_path, write_sidecar

RTX_LAYOUT = 2
SM86, SM89 = 4, 8


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def run_inspect(*arguments: object) -> Result:
    """What the command prints, and how it exits."""
    out, err = io.StringIO(), io.StringIO()
    line = patch.object(sys, "argv", ["efdn-inspect", *map(str, arguments)])
    with line, redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        cli.inspection.entry()
    assert "Traceback" not in out.getvalue() + err.getvalue()
    assert isinstance(caught.value.code, int)
    return Result(caught.value.code, out.getvalue(), err.getvalue())


def rows(out: str, title: str) -> dict[str, str]:
    """The facts under a title, by name; of a fact that takes several lines the first."""
    lines = next(block for block in out.split("\n\n") if block.startswith(title)).splitlines()[1:]
    pairs = (re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines)
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def rtx_engine(mask: int = SM86, *, body: int = 100, layout: int = RTX_LAYOUT) -> bytes:
    """A file with the header that TensorRT for RTX writes, and nothing behind it."""
    header = struct.pack("<4sIQQ4s4sI", b"vtrt", 0, layout, 64 + body, bytes((1, 7, 1, 116)), b"vtrt", mask)
    return header.ljust(64, b"\0") + bytes(body)


def make_sidecar(artefact: Path, **changes: Any) -> Sidecar:
    """The sidecar of an engine; every value stands out, so that a test can tell that it is shown."""
    values: dict[str, Any] = {
        "kind": "engine",
        "file": "before_it_was_renamed.engine",
        "sha256": sha256_of_file(artefact),
        "architecture": "RFDN",
        "scale": 4,
        "data_range": 255.0,
        "io": "uint8",
        "precision": "fp16",
        "keep_fp32": ("tail/*", "body.7/*"),
        "passes": ("fold_norms", "group_channels"),
        "shapes": (ShapeRange(min=(64, 72), opt=(256, 264), max=(512, 520)),),
        "batch": 1,
        "opset": 19,
        "graph_sha256": "ab" * 32,
        "weights": "w.safetensors",
        "weights_sha256": "cd" * 32,
        "parity": {"fold": {"max_error": 1.5e-7, "psnr_db": None, "grey_levels": 3, "finite": False, "odd": 7}},
        "tools": {"torch": "2.99", "onnx": "1.88"},
        "seconds": 14.75,
        "build": EngineBuild(
            runtime="rtx",
            tensorrt_version="1.7.1.116",
            gpu_targets=("sm86",),
            kernels=139,
            half_share=0.987,
            bytes_moved=123_456_789,
            build_seconds=6.25,
        ),
    }
    return Sidecar(**{**values, **changes})


def engine_with_sidecar(content: bytes, **changes: Any) -> Path:
    path = Path("x.engine")
    path.write_bytes(content)
    write_sidecar(sidecar_path(path), make_sidecar(path, **changes))
    return path
