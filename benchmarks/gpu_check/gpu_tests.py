"""Runs the tests that need a GPU, in a Python that has what they need."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.interpreters import Interpreter
from engines.worker.client import source_environment

NEEDS = ("pytest", "hypothesis", "torch", "onnxruntime", "onnx")
LEAST_S = 30
FILES = ("tests/test_gpu.py", "tests/test_engines.py")


def run_gpu_tests(interpreters: Sequence[Interpreter], deadline: float) -> dict[str, Any]:
    """What became of the tests marked `gpu`.

    Args:
        interpreters: the first that has all of `NEEDS` runs them.
        deadline: by `time.monotonic`.
    """
    python = next((python for python in interpreters if python.has(*NEEDS)), None)
    left = deadline - time.monotonic()
    if python is None:
        return {"run": False, "why": f"no Python here has all of {', '.join(NEEDS)}"}
    if left < LEAST_S:
        return {"run": False, "why": "no time was left"}
    # Warnings of a PyTorch that is not the one the suite is pinned to are none of its business.
    options = ["-q", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [str(python.command), "-m", "pytest", *options, *FILES],
            capture_output=True,
            text=True,
            errors="replace",
            cwd=Path(__file__).parents[2],
            timeout=left,
            env=source_environment(),
            check=False,
        )
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        heard = error.stdout or ""
        code, output = None, heard if isinstance(heard, str) else heard.decode(errors="replace")
    lines = output.strip().splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR", "E  "))]
    print(f"tests: {lines[-1] if lines else 'no word'}", *failures, sep="\n", file=sys.stderr, flush=True)
    return {"run": True, "done": code is not None, "code": code, "tail": lines[-5:], "failures": failures[:50]}
