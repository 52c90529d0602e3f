"""Findings: ONNX Runtime, of which there must be one, and the libraries that its CUDA needs."""

from __future__ import annotations

import re

from engines.doctor.finding import Finding, State
from engines.doctor.machine import Machine
from engines.doctor.probes import CUDA_PROVIDER
from engines.doctor.remedies import install_extra, newer_driver, reinstall
from engines.doctor.versions import within

TOPIC = "ONNX Runtime"

CUDNN = re.compile(r"(?:lib)?cudnn")

BRING_LIBRARIES = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
"""Its own extras, which know the versions it was built for."""


def find_onnxruntime(machine: Machine) -> list[Finding]:
    """Which ONNX Runtime it is, its providers, and what its CUDA lacks."""
    names = machine.onnx_runtimes
    findings = [_package(machine, names)]
    facts = machine.loaded("onnxruntime")
    if facts is not None:
        findings.append(_providers(machine, names, facts["providers"]))
        if CUDA_PROVIDER in facts["providers"]:
            findings.append(_cuda(machine))
    return findings


def fitting_extra(machine: Machine) -> str:
    """The extra with the ONNX Runtime for this machine."""
    return "cpu" if machine.gpu is None else "gpu"


def cuda_fault(machine: Machine) -> tuple[str, str | None] | None:
    """Why the CUDA of an installed ONNX Runtime cannot work here, and what to do; None where nothing is known."""
    facts = machine.loaded("onnxruntime")
    if facts is None or CUDA_PROVIDER not in facts["providers"]:
        return "the installed ONNX Runtime has no CUDA", reinstall(
            machine, machine.onnx_runtimes or ("onnxruntime",), "gpu"
        )
    built_for = facts["cuda"]
    if machine.driver is not None and machine.gpu is not None and built_for:
        major = int(built_for.split(".")[0])
        if machine.driver.cuda_version // 1000 < major:
            reason = f"built for CUDA {built_for}, the driver serves {machine.driver.cuda_text}"
            return reason, newer_driver(machine, major)
    if facts["missing"]:
        return f"cannot load {', '.join(facts['missing'])}", BRING_LIBRARIES
    return None


def _package(machine: Machine, names: tuple[str, ...]) -> Finding:
    package, facts = machine.packages.get("onnxruntime"), machine.loaded("onnxruntime")
    text = ", ".join(f"{name} {machine.distributions[name]}" for name in names) or "of unknown origin"
    state, remedy = State.OK, None
    if package is None:
        state = State.PROBLEM if names else State.ABSENT
        text = f"{text}: the module is gone, as after one of two was removed" if names else "not installed"
        remedy = (
            reinstall(machine, names, fitting_extra(machine))
            if names
            else install_extra(machine, fitting_extra(machine))
        )
    elif len(names) > 1:
        state, remedy = State.PROBLEM, reinstall(machine, names, fitting_extra(machine))
        text = f"{' and '.join(text.split(', '))} are one module and overwrite each other: keep one"
    elif facts is None:
        state, text = State.PROBLEM, f"{text} is installed but does not load ({package.failure})"
        remedy = reinstall(machine, names or ("onnxruntime",), fitting_extra(machine))
    elif names and not within(machine.distributions[names[0]], machine.range_of(names[0])):
        state, remedy = State.PROBLEM, install_extra(machine, "gpu" if names[0].endswith("-gpu") else "cpu")
        text = f"{text}, this toolkit takes {machine.range_of(names[0])}"
    return Finding(topic=TOPIC, name="package", state=state, text=text, remedy=remedy)


def _providers(machine: Machine, names: tuple[str, ...], providers: list[str]) -> Finding:
    text = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
    if machine.gpu is not None and CUDA_PROVIDER not in providers:
        return Finding(
            topic=TOPIC,
            name="providers",
            state=State.NOTE,
            text=f"{text}: the GPU is left idle",
            remedy=reinstall(machine, names or ("onnxruntime",), "gpu"),
        )
    return Finding(topic=TOPIC, name="providers", state=State.OK, text=text)


def _cuda(machine: Machine) -> Finding:
    facts = machine.loaded("onnxruntime") or {}
    built_for = facts["cuda"] or "unknown"
    if machine.gpu is None:
        text = f"built for CUDA {built_for}; idle without a GPU"
        return Finding(topic=TOPIC, name="CUDA", state=State.ABSENT, text=text)
    fault = cuda_fault(machine)
    if fault is None:
        text = f"built for CUDA {built_for}, finds its libraries"
        return Finding(topic=TOPIC, name="CUDA", state=State.OK, text=text)
    reason, remedy = fault
    text = f"built for CUDA {built_for}; {reason}" if facts["missing"] and "cannot" in reason else reason
    return Finding(topic=TOPIC, name="CUDA", state=State.PROBLEM, text=text, remedy=remedy)


def find_cudnn(machine: Machine) -> list[Finding]:
    """cuDNN, as a package, within PyTorch, and as ONNX Runtime finds it."""
    packages = [f"{name} {version}" for name, version in sorted(machine.distributions.items()) if _is_cudnn(name)]
    torch, runtime = machine.loaded("torch"), machine.loaded("onnxruntime")
    if torch is not None and torch["cudnn"]:
        packages.append(f"{_cudnn_text(torch['cudnn'])} within PyTorch")
    needed = runtime is not None and CUDA_PROVIDER in runtime["providers"] and machine.gpu is not None
    lacking = needed and runtime is not None and any(CUDNN.match(name) for name in runtime["missing"])
    state, remedy, text = State.OK, None, ", ".join(packages)
    if lacking:
        state, remedy = State.PROBLEM, BRING_LIBRARIES
        text = f"{text or 'none'}; onnxruntime-gpu cannot load its cuDNN 9"
    elif not packages:
        state = State.OK if needed else State.ABSENT
        text = "found by onnxruntime-gpu" if needed else "none; onnxruntime-gpu and PyTorch need it, on a GPU only"
    return [Finding(topic="cuDNN", name="cuDNN", state=state, text=text, remedy=remedy)]


def _is_cudnn(name: str) -> bool:
    return re.fullmatch(r"nvidia-cudnn(-cu\d+)?", name) is not None


def _cudnn_text(number: int) -> str:
    """91002 as "9.10.2", 8907 as "8.9.7": cuDNN 9 changed how it counts."""
    major, rest = divmod(number, 10_000) if number >= 90_000 else divmod(number, 1_000)
    return f"{major}.{rest // 100}.{rest % 100}"
