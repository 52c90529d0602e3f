"""Findings: PyTorch and OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.doctor.finding import Finding, State
from engines.doctor.machine import Machine
from engines.doctor.remedies import install_extra, newer_driver, reinstall
from engines.doctor.versions import within

CUDA_BUILD = "pip uninstall -y torch\nthen the command for CUDA that pytorch.org shows under Get Started, Locally"


def find_frameworks(machine: Machine) -> list[Finding]:
    """PyTorch, which exports and runs weights files, and OpenVINO."""
    return [_torch(machine), _openvino(machine)]


def _torch(machine: Machine) -> Finding:
    package, facts = machine.packages.get("torch"), machine.loaded("torch")
    remedy = None
    if package is None:
        state, text = State.ABSENT, "not installed; exports and weights files need it, upscaling does not"
        remedy = f"to export or run weights files, {install_extra(machine, 'export')}"
    elif facts is None:
        state, text = State.PROBLEM, f"installed but does not load ({package.failure})"
        remedy = reinstall(machine, ["torch"], "export")
    elif not within(facts["version"], machine.range_of("torch")):
        state, text = State.PROBLEM, f"{facts['version']}, this toolkit takes {machine.range_of('torch')}"
        remedy = install_extra(machine, "export")
    else:
        state, text, remedy = _build(machine, facts)
    return Finding(topic="PyTorch", name="torch", state=state, text=text, remedy=remedy)


def _build(machine: Machine, facts: Mapping[str, Any]) -> tuple[State, str, str | None]:
    """Whether the build goes with the GPU."""
    version, cuda = facts["version"], facts["cuda"]
    if cuda is None:
        if facts["hip"] is not None:
            return State.OK, f"{version}, ROCm build, GPU {'seen' if facts['available'] else 'not seen'}", None
        if machine.gpu is None:
            return State.OK, f"{version}, CPU build", None
        return State.NOTE, f"{version}, CPU build: it leaves {machine.gpu.name} idle", CUDA_BUILD
    text = f"{version}, built for CUDA {cuda}"
    if facts["available"]:
        if machine.gpu is not None and not _runs_on(machine.gpu.number, facts["architectures"]):
            return State.PROBLEM, f"{text}, but not for {machine.gpu.name} ({machine.gpu.architecture})", CUDA_BUILD
        return State.OK, f"{text}, GPU seen", None
    if machine.gpu is None:
        return State.OK, f"{text}; without a GPU it runs on the CPU", None
    major = int(cuda.split(".")[0])
    if machine.driver is not None and machine.driver.cuda_version // 1000 < major:
        reason = f"{text}, the driver serves {machine.driver.cuda_text}: too old"
        return State.PROBLEM, reason, newer_driver(machine, major)
    return State.PROBLEM, f"{text}, but sees no GPU ({facts['reason'] or 'no reason given'})", CUDA_BUILD


def _runs_on(number: int, architectures: list[str]) -> bool:
    """Whether a build has code for a GPU: its own, an older one of the same major version, or one to compile."""
    for name in architectures:
        kind, _, text = name.partition("_")
        digits = "".join(character for character in text if character.isdigit())
        built = int(digits) if digits else 0
        if built <= number and (kind == "compute" or built // 10 == number // 10):
            return True
    return not architectures


def _openvino(machine: Machine) -> Finding:
    package, facts = machine.packages.get("openvino"), machine.loaded("openvino")
    remedy = None
    if package is None:
        state, text = State.ABSENT, "not installed; an alternative to ONNX Runtime on the CPU"
    elif facts is None:
        state, text = State.PROBLEM, f"installed but does not load ({package.failure})"
        remedy = reinstall(machine, ["openvino"], "openvino")
    else:
        wanted = machine.range_of("openvino")
        version = machine.distributions.get("openvino", facts["version"])
        state, text = State.OK, f"{version}, devices {', '.join(facts['devices']) or 'none'}"
        if not within(version, wanted):
            state, text, remedy = State.NOTE, f"{text}; this toolkit takes {wanted}", f'pip install "openvino{wanted}"'
    return Finding(topic="OpenVINO", name="openvino", state=state, text=text, remedy=remedy)
