"""What to do, worded once. Commands are for any shell: Windows' own takes double quotes only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engines.doctor.machine import Machine

ONNX_RUNTIME_OF = {"cpu": "onnxruntime", "gpu": "onnxruntime-gpu"}
"""By extra."""

SOURCE_FOLDER = "in efdn's source folder:"

RANGES = {12: "525", 13: "580"}
"""Oldest branch of NVIDIA's driver that serves a major version of CUDA (CUDA's release notes, "Minor Version
Compatibility")."""

IMPERATIVES = (
    "add|build|check|choose|close|copy|create|delete|export|give|install|leave|make|open|pip|put|rename|run|see|take|try"
    "|turn|update|use"
)
"""Words that remedies in this project's messages begin with."""


def install_extra(machine: Machine, extra: str) -> str:
    """Commands that bring an extra, and where they are to be given.

    Of several ONNX Runtimes each overwrites the others, and takes their files along when it goes: where the extra
    brings another than is here, all have to go first.
    """
    command = f'{SOURCE_FOLDER}\npip install ".[{extra}]"'
    brought = ONNX_RUNTIME_OF.get(extra)
    if brought is None or set(machine.onnx_runtimes) <= {brought}:
        return command
    return f"pip uninstall -y {' '.join(machine.onnx_runtimes)}\n{command}"


def reinstall(machine: Machine, distributions: Sequence[str], extra: str) -> str:
    """Commands that bring an extra once some distributions have been removed."""
    others = machine.onnx_runtimes if extra in ONNX_RUNTIME_OF else ()
    unfit = others if not set(others) <= {ONNX_RUNTIME_OF.get(extra)} else ()
    names = sorted({*distributions, *unfit})
    return f'pip uninstall -y {" ".join(names)}\n{SOURCE_FOLDER}\npip install ".[{extra}]"'


def newer_driver(machine: Machine, cuda_major: int) -> str:
    """How to come to a driver that serves a CUDA."""
    branch = RANGES.get(cuda_major)
    which = f"NVIDIA driver {branch} or newer" if branch else f"an NVIDIA driver for CUDA {cuda_major}"
    if machine.subsystem:
        return f"install {which} in Windows, not in WSL: nvidia.com/drivers"
    if machine.container:
        return f"install {which} on the host of this container, then start the container anew"
    if machine.system == "Linux":
        return f"install {which} (Ubuntu: sudo ubuntu-drivers install), then restart"
    return f"install {which}: nvidia.com/drivers"


def in_one_line(lines: Sequence[str]) -> str:
    """Commands after each other: "in efdn's source folder: pip install ...; then ..."."""
    return "; then ".join(lines).replace(":; then ", ": ")


def split_reason(message: str) -> tuple[str, str | None]:
    """An error of this project as reason and remedy.

    Messages say what to do after a colon; what a colon precedes is taken for a remedy only if it begins like one.
    """
    found = re.search(rf": (?=(?:{IMPERATIVES})\b)", message)
    if found is None:
        return message, None
    return message[: found.start()], re.sub(r"'(\.\[\w+\])'", r'"\1"', message[found.end() :])
