"""Looks at the machine this runs on."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, metadata, requires
from pathlib import Path
from typing import Any

from efdn.assets import FOLDER
from efdn.caches import VARIABLE, cache_folder
from efdn.errors import EfdnError
from efdn.files import sha256_of_file
from engines.doctor.machine import CacheState, CudaGpu, Driver, Machine, Package
from engines.doctor.privacy import short_path
from engines.doctor.probes import PROBES
from engines.doctor.versions import normalised, parse_requirements
from engines.nvidia_smi import query_gpus

DISTRIBUTION = "efdn"
ROOT = Path(__file__).parents[2]
PROBE_LIMIT_S = 120
NVIDIA_VENDOR, DISPLAY_CLASS = "0x10de", "0x03"


def installed_probes() -> tuple[str, ...]:
    """Probes worth a process: the driver's, and those of packages that are installed."""
    return tuple(name for name in PROBES if name == "driver" or _installed(name))


def look_at_machine(answers: dict[str, dict[str, Any]]) -> Machine:
    """All that the findings are made from.

    Args:
        answers: of the probes, by name; see `ask`.
    """
    installed, requirements, python_range = _distributions()
    return Machine(
        system=platform.system(),
        subsystem="microsoft" in platform.release().lower(),
        container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        python=platform.python_version(),
        python_range=python_range,
        smi_gpus=query_gpus(),
        nvidia_on_bus=nvidia_on_bus(),
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        driver=driver_of(answers.get("driver", {"driver": False})),
        packages={name: package_of(told) for name, told in answers.items() if name != "driver"},
        distributions=installed,
        requirements=parse_requirements(requirements),
        broken_assets=broken_assets(FOLDER),
        cache=look_at_cache(cache_folder()),
    )


def ask(name: str, command: Iterable[str] | None = None, limit_s: float = PROBE_LIMIT_S) -> dict[str, Any]:
    """What a probe tells, or {"failure": why it does not}.

    Args:
        name: of the probe.
        command: stands in for the probe's process in tests.
        limit_s: seconds it may take.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    line = list(command or (sys.executable, "-m", "engines.doctor.probes", name))
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=limit_s,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failure": f"importing it did not end within {limit_s:.0f} s"}
    except OSError as error:
        return {"failure": f"{line[0]} does not start: {error.strerror or error}"}
    try:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return {"failure": f"importing it ended the process ({_ending(done.returncode)})"}
    return told


def driver_of(told: dict[str, Any]) -> Driver | None:
    """The driver as its probe tells it."""
    if "failure" in told:
        return Driver(failure=told["failure"])
    if not told["driver"]:
        return None
    return Driver(
        status=told["status"], cuda_version=told["cuda_version"], gpus=tuple(CudaGpu(**gpu) for gpu in told["gpus"])
    )


def package_of(told: dict[str, Any]) -> Package:
    """A package as its probe tells it."""
    return Package(failure=told["failure"]) if "failure" in told else Package(facts=told)


def nvidia_on_bus(folder: Path = Path("/sys/bus/pci/devices")) -> bool | None:
    """Whether Linux sees a GPU of NVIDIA's, with or without a driver; None where it does not tell."""
    if not folder.is_dir():
        return None
    try:
        return any(
            (device / "vendor").read_text(encoding="ascii").strip() == NVIDIA_VENDOR
            and (device / "class").read_text(encoding="ascii").startswith(DISPLAY_CLASS)
            for device in folder.iterdir()
        )
    except OSError:
        return None


def broken_assets(folder: Path) -> tuple[str, ...]:
    """Packaged files that are missing or differ from what was packaged."""
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return ("SHA256SUMS",)
    pairs = [line.split() for line in lines if line.strip()]
    return tuple(name for digest, name in pairs if not _is(folder / name, digest))


def look_at_cache(folder: Path) -> CacheState:
    """The cache folder, and whether it could be written to; nothing stays behind there."""
    exists = folder.is_dir()
    return CacheState(
        path=short_path(folder),
        named_by_user=bool(os.environ.get(VARIABLE)),
        exists=exists,
        writable=_writable(folder),
        folders={child.name: _size(child) for child in sorted(folder.iterdir()) if child.is_dir()} if exists else {},
    )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):  # Something half removed, or put there by a test.
        return False


def _distributions() -> tuple[dict[str, str], list[str], str]:
    """Versions of what is installed, requirements of this distribution, and Pythons that it takes."""
    installed: dict[str, str] = {}
    for found in distributions():
        name = found.metadata["Name"]
        if name:  # Broken installations leave folders without metadata.
            installed.setdefault(normalised(name), found.version)
    try:
        told = metadata(DISTRIBUTION)
        return installed, requires(DISTRIBUTION) or [], told["Requires-Python"]
    except PackageNotFoundError:
        return installed, [], ""


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256_of_file(path) == digest
    except (OSError, EfdnError):
        return False


def _writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, or in the nearest of its parents that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".efdn-"):
            return True
    except OSError:
        return False


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # Deleted meanwhile.
            continue
    return total


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
