"""Findings: driver and GPUs."""

from __future__ import annotations

from engines.doctor.finding import Finding, State
from engines.doctor.machine import Driver, Machine
from engines.doctor.remedies import newer_driver
from engines.nvidia_smi import GpuState

TOPIC = "driver and GPU"
NO_DEVICE = 100
OLDEST_CUDA = 12
"""That any of the extras is built for."""

CONTAINER_FLAGS = "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility ..."

STATUS = {
    34: ("it is a stand-in for building only", "take the folder with CUDA's stubs out of LD_LIBRARY_PATH"),
    46: ("the GPU is in use by one process alone", "end that process, or: sudo nvidia-smi -c DEFAULT"),
    802: ("the GPUs' links are not up yet", "sudo systemctl restart nvidia-fabricmanager"),
    803: ("kernel module and library of the driver differ, as after an update", "restart the machine"),
    804: ("a compatibility library takes the driver's place", "take its folder (compat) out of LD_LIBRARY_PATH"),
    999: ("the reason is unknown, often a driver that lost its GPU", "restart the machine"),
}
"""Answers of `cuInit` (CUresult), and what helps."""


def find_gpus(machine: Machine) -> list[Finding]:
    """The driver, and every GPU that CUDA or `nvidia-smi` sees."""
    if machine.driver is None:
        return [_without_driver(machine)]
    return [_driver(machine, machine.driver), *_gpus(machine, machine.driver)]


def _without_driver(machine: Machine) -> Finding:
    remedy = None
    state = State.PROBLEM
    if machine.system == "Darwin":
        state, text = State.ABSENT, "none: macOS has no CUDA; engines for the CPU run"
    elif machine.smi_gpus:
        text = f"nvidia-smi sees {machine.smi_gpus[0].name}, but the driver's library for CUDA is not here"
        remedy = CONTAINER_FLAGS if machine.container else newer_driver(machine, OLDEST_CUDA + 1)
    elif machine.nvidia_on_bus:
        text = "there is an NVIDIA GPU, and no driver for it"
        remedy = CONTAINER_FLAGS if machine.container else newer_driver(machine, OLDEST_CUDA + 1)
    else:
        state, text = State.ABSENT, "no NVIDIA driver, and no NVIDIA GPU seen; engines for the CPU run without"
        if machine.nvidia_on_bus is None or machine.subsystem:
            remedy = f"only if there is an NVIDIA GPU: {newer_driver(machine, OLDEST_CUDA + 1)}"
    return Finding(topic=TOPIC, name="driver", state=state, text=text, remedy=remedy)


def _driver(machine: Machine, driver: Driver) -> Finding:
    if driver.failure is not None:
        return Finding(
            topic=TOPIC,
            name="driver",
            state=State.PROBLEM,
            text=f"asking the driver failed: {driver.failure}",
            remedy="restart the machine; if that does not help, install the driver anew",
        )
    version = machine.smi_gpus[0].driver_version if machine.smi_gpus else None
    text = f"{version or 'version unknown (no nvidia-smi)'}, serves CUDA up to {driver.cuda_text}"
    state, remedy = State.OK, None
    if driver.status == NO_DEVICE or (driver.status == 0 and not driver.gpus):
        state, text = State.PROBLEM, f"{text}, but shows no GPU to CUDA"
        if machine.visible_devices is not None:
            remedy = f"CUDA_VISIBLE_DEVICES is {machine.visible_devices!r}: unset it, or name a GPU, such as 0"
        elif machine.container:
            remedy = CONTAINER_FLAGS
        elif not machine.smi_gpus and not machine.nvidia_on_bus:
            state, text = State.ABSENT, f"{version or 'a driver'}, but no NVIDIA GPU; engines for the CPU run without"
        else:
            remedy = "restart the machine; if that does not help, install the driver anew"
    elif driver.status:
        reason, remedy = STATUS.get(driver.status, ("CUDA cannot start", "restart the machine"))
        state, text = State.PROBLEM, f"{text}; cuInit answers {driver.status}: {reason}"
    elif driver.cuda_version // 1000 < OLDEST_CUDA:
        state, remedy = State.PROBLEM, newer_driver(machine, OLDEST_CUDA + 1)
        text = f"{text}: too old for any extra of this toolkit, which need CUDA {OLDEST_CUDA} or {OLDEST_CUDA + 1}"
    return Finding(topic=TOPIC, name="driver", state=state, text=text, remedy=remedy)


def _gpus(machine: Machine, driver: Driver) -> list[Finding]:
    """GPUs of CUDA, with what `nvidia-smi` knows of those of the same name and capability."""
    left = list(machine.smi_gpus)
    findings = []
    for index, gpu in enumerate(driver.gpus):
        state = next((state for state in left if state.name == gpu.name), None)
        if state is not None:
            left.remove(state)
        used = "" if index == 0 else "; engines use GPU 0"
        text = f"{gpu.name}, compute capability {gpu.capability} ({gpu.architecture}){_memory(state)}{used}"
        throttled = state.throttle_reasons if state is not None else ()
        findings.append(
            Finding(
                topic=TOPIC,
                name=f"GPU {index}",
                state=State.NOTE if throttled else State.OK,
                text=text + (f"; held back by {', '.join(throttled)}" if throttled else ""),
                remedy="nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER" if throttled else None,
            )
        )
    return findings


def _memory(state: GpuState | None) -> str:
    if state is None or state.memory_total_bytes is None:
        return ""
    used = "" if state.memory_used_bytes is None else f", {state.memory_used_bytes / 2**30:.1f} GiB in use"
    return f", {state.memory_total_bytes / 2**30:.1f} GiB{used}"
