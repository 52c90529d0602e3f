"""What to do, worded once. Commands are for any shell: Windows' own takes double quotes only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engines.doctor.machine import Machine

SOURCE_FOLDER = "in efdn's source folder:"

RANGES = {12: "525", 13: "580"}
"""Oldest branch of NVIDIA's driver that serves a major version of CUDA (CUDA's release notes, "Minor Version
Compatibility")."""

IMPERATIVES = (
    "add|build|check|choose|close|copy|create|delete|export|give|install|leave|make|open|pip|put|rename|run|see|take|try"
    "|turn|update|use"
)
"""Words that remedies in this project's messages begin with."""


def install_extra(extra: str) -> str:
    """The command that brings an extra, and where it is to be given."""
    return f'{SOURCE_FOLDER}\npip install ".[{extra}]"'


def swap_onnxruntime(remove: tuple[str, ...], extra: str) -> str:
    """Commands that leave one ONNX Runtime; removing one of two breaks the other, so that all have to go."""
    return f"pip uninstall -y {' '.join(remove)}\n{install_extra(extra)}"


def newer_driver(machine: Machine, cuda_major: int) -> str:
    """How to come to a driver that serves a CUDA."""
    branch = RANGES.get(cuda_major)
    which = f"driver {branch} or newer" if branch else f"a driver for CUDA {cuda_major}"
    if machine.subsystem:
        return f"install {which} in Windows, not in WSL: nvidia.com/drivers"
    if machine.container:
        return f"install {which} on the host of this container, then start the container anew"
    if machine.system == "Linux":
        return f"install {which} with your distribution's tool (Ubuntu: sudo ubuntu-drivers install), then restart"
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
