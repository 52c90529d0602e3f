"""Findings: CUDA for Python, through NVIDIA's bindings or PyCUDA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.doctor.finding import Finding, State
from engines.doctor.machine import Machine
from engines.doctor.remedies import install_extra, newer_driver, reinstall
from engines.doctor.tensorrts import best_extra

TOPIC = "CUDA for Python"
DRIVER_TOO_OLD = 35
"""cudaErrorInsufficientDriver; also the answer where there is no driver at all."""


def find_bindings(machine: Machine) -> list[Finding]:
    """`cuda-bindings` and PyCUDA; either is enough, and TensorRT alone needs one."""
    return [_bindings(machine), _pycuda(machine)]


def bindings_work(machine: Machine) -> bool:
    """Whether Python reaches a GPU through either."""
    nvidia, pycuda = machine.loaded("cuda"), machine.loaded("pycuda")
    reaches = nvidia is not None and nvidia["status"] == 0 and nvidia["gpus"] > 0
    return reaches or (pycuda is not None and pycuda["gpus"] > 0)


def _bindings(machine: Machine) -> Finding:
    version = machine.distributions.get("cuda-bindings", "version unknown")
    package, facts = machine.packages.get("cuda"), machine.loaded("cuda")
    state, remedy = State.OK, None
    if package is None:
        state, text = State.ABSENT, "not installed; only TensorRT engines need them"
        if machine.gpu is not None:
            remedy = install_extra(machine, best_extra(machine))
    elif facts is None:
        state, text = State.PROBLEM, f"{version} is installed but does not load ({package.failure})"
        remedy = reinstall(machine, ["cuda-bindings"], best_extra(machine))
    else:
        text = f"{version}, for CUDA {_runtime(facts) or '?'}"
        if facts["status"]:
            state, text, remedy = _failed(machine, facts, text)
        else:
            text += f", {facts['gpus']} GPU{'' if facts['gpus'] == 1 else 's'}"
    return Finding(topic=TOPIC, name="cuda-bindings", state=state, text=text, remedy=remedy)


def _failed(machine: Machine, facts: Mapping[str, Any], text: str) -> tuple[State, str, str | None]:
    """What an answer other than success means."""
    code = f"CUDA error {facts['status']}, {facts['status_name']}"
    if machine.driver is None:
        return State.ABSENT, f"{text}; idle, for there is no driver ({code})", None
    if facts["status"] == DRIVER_TOO_OLD:
        wanted = int(facts["runtime"]) // 1000
        older = f'or, for a TensorRT built for CUDA {wanted - 1}:\npip install "cuda-bindings<{wanted}"'
        remedy = f"{newer_driver(machine, wanted)}\n{older}"
        return State.PROBLEM, f"{text}, the driver serves {machine.driver.cuda_text}: too old ({code})", remedy
    return State.PROBLEM, f"{text}; {code}", "see the driver above: this is its answer"


def _pycuda(machine: Machine) -> Finding:
    package, facts = machine.packages.get("pycuda"), machine.loaded("pycuda")
    remedy = None
    if package is None:
        state, text = State.ABSENT, "not installed, and not needed: cuda-bindings do the same, and CUDA graphs too"
    elif facts is None:
        state = State.ABSENT if machine.driver is None else State.PROBLEM
        text = f"installed but does not load ({package.failure}); not needed where cuda-bindings work"
        remedy = None if machine.driver is None else "pip uninstall -y pycuda"
    elif facts["reason"] is not None:
        state = State.ABSENT if machine.driver is None else State.NOTE
        text = f"{facts['version']}; reaches no GPU ({facts['reason']})"
    else:
        state, text = State.OK, f"{facts['version']}, {facts['gpus']} GPU{'' if facts['gpus'] == 1 else 's'}"
    return Finding(topic=TOPIC, name="PyCUDA", state=state, text=text, remedy=remedy)


def _runtime(facts: Mapping[str, Any]) -> str:
    number = int(facts["runtime"])
    return f"{number // 1000}.{number % 1000 // 10}"
