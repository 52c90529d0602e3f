"""What figures depend on: processor, versions, threads."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch

from efdn.version import __version__


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    packages = ("torch", "onnxruntime", "numpy", "tensorrt-rtx")
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "efdn": __version__,
        **{name: importlib.metadata.version(name) for name in packages},
    }


def processor() -> str:
    """The processor's name, where Linux tells it."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1] for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0].strip() if names else platform.processor()
