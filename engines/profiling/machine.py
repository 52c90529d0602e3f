"""What figures depend on: processor, versions, other load, source."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from efdn.version import __version__
from engines.cores import usable_cores

PACKAGES = (
    "numpy",
    "pillow",
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
    "pycuda",
)
SOURCE = Path(__file__).parents[2]
GIT_LIMIT_S = 10


def machine() -> dict[str, Any]:
    """Processor, system and versions; packages that are not installed are left out."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "efdn": __version__,
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def processor() -> str:
    """The processor's name, where Linux tells it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name") and ":" in line]
    return (names[0] if names else "") or platform.processor() or platform.machine() or "unknown"


def load_average() -> float | None:
    """Processes at work, a mean of the last minute; None where the system does not say."""
    if not hasattr(os, "getloadavg"):
        return None
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def commit() -> str | None:
    """The commit of the source that runs, with "+" where files differ from it; None outside a git checkout of it."""
    if not (SOURCE / "pyproject.toml").is_file():  # Else it is installed, and perhaps in somebody else's checkout.
        return None
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    if not head or changes is None:
        return None
    return head + ("+" if changes else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(SOURCE), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=GIT_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
