"""Findings: this toolkit itself, its packaged model and its cache folder."""

from __future__ import annotations

from efdn.caches import VARIABLE
from efdn.version import __version__
from engines.doctor.finding import Finding, State
from engines.doctor.machine import Machine
from engines.doctor.remedies import SOURCE_FOLDER
from engines.doctor.versions import within

TOPIC, CACHE_TOPIC = "efdn", "cache folder"
LEFT_OUT = ("dev", "train")
"""Extras that no engine needs."""


def find_toolkit(machine: Machine) -> list[Finding]:
    """Version, Python, extras and packaged model."""
    return [_version(machine), _python(machine), _extras(machine), _model(machine)]


def find_cache(machine: Machine) -> list[Finding]:
    """Where compiled kernels are kept."""
    cache = machine.cache
    origin = f" (named by {VARIABLE})" if cache.named_by_user else ""
    findings = []
    if not cache.writable:
        findings.append(
            Finding(
                topic=CACHE_TOPIC,
                name="folder",
                state=State.PROBLEM,
                text=f"{cache.path}{origin} is no folder to write to: engines compile their kernels at every start",
                remedy=_name_another(machine),
            )
        )
    else:
        size = f"{sum(cache.folders.values()) / 1e6:.1f} MB" if cache.exists else "made when it is needed"
        text = f"{cache.path}{origin}, {size}"
        findings.append(Finding(topic=CACHE_TOPIC, name="folder", state=State.OK, text=text))
    for name, size_bytes in cache.folders.items():
        text = f"{size_bytes / 1e6:.1f} MB"
        findings.append(Finding(topic=CACHE_TOPIC, name=name, state=State.OK, text=text))
    return findings


def _name_another(machine: Machine) -> str:
    if machine.system == "Windows":
        return f'setx {VARIABLE} "%LOCALAPPDATA%\\efdn-cache"\nthen open a new terminal'
    return f'export {VARIABLE}="$HOME/efdn-cache"'


def _version(machine: Machine) -> Finding:
    installed = machine.distributions.get("efdn")
    state, text, remedy = State.OK, __version__, None
    if installed is None:
        state, text = State.NOTE, f"{__version__}, run from its source folder without being installed"
        remedy = f"{SOURCE_FOLDER}\npip install ."
    elif installed != __version__:
        state, text = State.NOTE, f"{__version__}, but installed as {installed}"
        remedy = f"{SOURCE_FOLDER}\npip install ."
    return Finding(topic=TOPIC, name="version", state=state, text=text, remedy=remedy)


def _python(machine: Machine) -> Finding:
    wanted = machine.python_range
    if within(machine.python, wanted):
        return Finding(topic=TOPIC, name="Python", state=State.OK, text=machine.python)
    text = f"{machine.python}, this toolkit takes {wanted}"
    return Finding(topic=TOPIC, name="Python", state=State.PROBLEM, text=text, remedy="install a newer Python")


def _extras(machine: Machine) -> Finding:
    """Which extras have all of their packages; which to install is for the findings of engines to say."""
    names = [name for name in dict.fromkeys(needed.extra for needed in machine.requirements) if name not in LEFT_OUT]
    complete = [name for name in names if not machine.missing_for(name)]
    others = [_incomplete(machine, name) for name in names if name not in complete]
    text = f"complete: {', '.join(complete) or 'none'}" + (f"; not: {', '.join(others)}" if others else "")
    if not names:
        text = "unknown, since efdn is not installed"
    return Finding(topic=TOPIC, name="extras", state=State.OK if complete else State.NOTE, text=text)


def _incomplete(machine: Machine, extra: str) -> str:
    """An extra, and what it lacks unless that is all of it."""
    wanted = sum(needed.extra == extra for needed in machine.requirements)
    lacking = machine.missing_for(extra)
    return extra if len(lacking) == wanted else f"{extra} (lacks {' and '.join(lacking)})"


def _model(machine: Machine) -> Finding:
    if not machine.broken_assets:
        return Finding(topic=TOPIC, name="packaged model", state=State.OK, text="whole: SHA-256 of all files right")
    text = f"damaged: {', '.join(machine.broken_assets)} missing or not as packaged"
    remedy = "in a fresh copy of efdn's source folder:\npip install --force-reinstall --no-deps ."
    return Finding(topic=TOPIC, name="packaged model", state=State.PROBLEM, text=text, remedy=remedy)
