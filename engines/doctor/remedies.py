"""What to do, worded once. Commands are for any shell: Windows' own takes double quotes only."""

from __future__ import annotations

import re

from engines.doctor.machine import Machine

RANGES = {12: "525", 13: "580"}
"""Oldest branch of NVIDIA's driver that serves a major version of CUDA (CUDA's release notes, "Minor Version
Compatibility")."""

IMPERATIVES = frozenset(
    "add build check choose close copy create delete export give install leave make open pip put rename run see take try "
    "turn update use".split()
)


def install_extra(extra: str) -> str:
    """The command that brings an extra."""
    return f'in efdn\'s source folder: pip install ".[{extra}]"'


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


def split_reason(message: str) -> tuple[str, str | None]:
    """An error of this project as reason and remedy.

    Messages say what to do after a colon; what a colon precedes is taken for a remedy only if it begins like one.
    """
    reason, remedy = message, None
    for colon in re.finditer(r": ", message):
        word = re.match(r"[a-z]+", message[colon.end() :])
        if word and word[0] in IMPERATIVES:
            reason, remedy = message[: colon.start()], message[colon.end() :]
            break
    return reason, None if remedy is None else re.sub(r"'(\.\[\w+\])'", r'"\1"', remedy)
