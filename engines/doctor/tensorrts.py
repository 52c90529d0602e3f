"""Findings: standard TensorRT and TensorRT for RTX."""

from __future__ import annotations

import re

from engines.doctor.finding import Finding, State
from engines.doctor.machine import Machine
from engines.doctor.remedies import RANGES, install_extra, newer_driver, reinstall
from engines.doctor.versions import numbers, within
from engines.trt.flavours import FLAVOURS

TOPIC = "TensorRT"
TITLES = {"rtx": "for RTX", "tensorrt": "standard"}

RTX_SERVES = (75, 80, 86, 89, 120, 121)
"""Compute capabilities in TensorRT for RTX's own list. Hopper (90) is not among them."""

FIRST_VOLTA_LESS, FIRST_WITH_BLACKWELL = (10, 5), (10, 8)
"""Versions of standard TensorRT (release notes): the former dropped Volta, the latter added Blackwell."""

VOLTA, TURING, BLACKWELL = 70, 75, 100


def find_tensorrts(machine: Machine) -> list[Finding]:
    """Both flavours: there, loading, of a version this toolkit takes, and fit for this GPU."""
    return [_find(machine, runtime) for runtime in ("tensorrt", "rtx")]


def serves(runtime: str, number: int, version: str | None) -> bool:
    """Whether a flavour runs on GPUs of a compute capability.

    Args:
        runtime: of `FLAVOURS`.
        number: such as 89.
        version: of the flavour; the newest if None.
    """
    if runtime == "rtx":
        return number in RTX_SERVES
    known = numbers(version)[:2] if version else FIRST_WITH_BLACKWELL
    if number >= BLACKWELL:
        return known >= FIRST_WITH_BLACKWELL
    return number >= TURING or known < FIRST_VOLTA_LESS


def best_extra(machine: Machine) -> str:
    """The extra whose TensorRT suits this GPU; without one that which builds engines all the same."""
    return "rtx" if machine.gpu is None or serves("rtx", machine.gpu.number, None) else "gpu"


def fault_of(machine: Machine, runtime: str) -> tuple[str, str | None] | None:
    """Why an installed flavour cannot run engines on this GPU, and what to do; None where nothing is wrong with it."""
    module, extra = FLAVOURS[runtime]
    package, facts = machine.packages.get(module), machine.loaded(module)
    if package is None:
        return _not_installed(machine, runtime)
    if facts is None:
        return f"installed but does not load ({package.failure})", _reinstall(machine, module, extra)
    if not facts["builder"]:
        return "a wheel without its libraries", _reinstall(machine, module, extra)
    version, wanted = facts["version"], machine.range_of(module.replace("_", "-"))
    if not within(version, wanted):
        return f"{version}, this toolkit takes {wanted}", install_extra(machine, extra)
    if machine.gpu is not None and not serves(runtime, machine.gpu.number, version):
        name = f"{machine.gpu.name} ({machine.gpu.architecture})"
        return f"{version} does not serve {name}", _other(machine, runtime)
    major = _cuda_major(machine, module)
    driver = machine.driver
    if machine.gpu is not None and driver is not None and major is not None and driver.cuda_version // 1000 < major:
        return f"{version} is built for CUDA {major}, the driver serves {driver.cuda_text}", newer_driver(
            machine, major
        )
    return None


def _not_installed(machine: Machine, runtime: str) -> tuple[str, str | None]:
    if machine.gpu is not None and not serves(runtime, machine.gpu.number, None):
        name = f"{machine.gpu.name} ({machine.gpu.architecture})"
        return f"not installed; today's would not serve {name}", _other(machine, runtime)
    return "not installed", install_extra(machine, FLAVOURS[runtime][1])


def _find(machine: Machine, runtime: str) -> Finding:
    module, _ = FLAVOURS[runtime]
    package, fault, remedy = machine.packages.get(module), fault_of(machine, runtime), None
    if package is None:
        state, (text, remedy) = State.ABSENT, fault or ("not installed", None)
        if best_extra(machine) == FLAVOURS[runtime][1]:
            text += _use(machine)
        else:
            remedy = None
            text += "" if "serve" in text else f"; {_why_not(machine)}"
    elif fault is not None:
        (text, remedy), state = fault, State.PROBLEM
        if machine.gpu is not None and text.endswith(f"does not serve {machine.gpu.name} ({machine.gpu.architecture})"):
            state = State.NOTE  # It builds engines for other machines all the same.
    else:
        state, text = State.OK, f"{package.facts['version']}, {_purpose(machine, runtime)}"
    return Finding(topic=TOPIC, name=TITLES[runtime], state=state, text=text, remedy=remedy)


def _why_not(machine: Machine) -> str:
    return "not needed beside TensorRT for RTX" if machine.gpu is not None else "it builds and runs on a GPU only"


def _use(machine: Machine) -> str:
    if machine.gpu is None:
        return "; with it engines can be built here, without a GPU"
    return f"; it would serve {machine.gpu.name} ({machine.gpu.architecture})"


def _purpose(machine: Machine, runtime: str) -> str:
    if machine.gpu is not None:
        return f"serves {machine.gpu.name} ({machine.gpu.architecture})"
    return "builds engines here; to run them takes a GPU" if runtime == "rtx" else "idle: it builds and runs on a GPU"


def _other(machine: Machine, runtime: str) -> str | None:
    """What to do where a flavour does not serve the GPU."""
    assert machine.gpu is not None
    other = "tensorrt" if runtime == "rtx" else "rtx"
    if serves(other, machine.gpu.number, None):
        return f"take TensorRT {TITLES[other]} instead:\n{install_extra(machine, FLAVOURS[other][1])}"
    if serves(runtime, machine.gpu.number, None):
        return install_extra(machine, FLAVOURS[runtime][1])
    return 'pip install "tensorrt<10.5"' if VOLTA <= machine.gpu.number < TURING else None


def _reinstall(machine: Machine, module: str, extra: str) -> str:
    """Commands that install a flavour anew, with all of the distributions that make it up."""
    stem = module.replace("_", "-")
    parts = sorted(name for name in machine.distributions if re.fullmatch(rf"{stem}(-cu\d+)?(-bindings|-libs)?", name))
    return reinstall(machine, parts or [stem], extra)


def _cuda_major(machine: Machine, module: str) -> int | None:
    """Major version of CUDA in the names of a flavour's distributions."""
    stem = module.replace("_", "-")
    matches = (re.fullmatch(rf"{stem}-cu(\d+)", name) for name in machine.distributions)
    majors = {int(match[1][:2]) for match in matches if match}
    return majors.pop() if len(majors) == 1 and majors <= RANGES.keys() else None
