"""How much memory this process takes. Linux tells; elsewhere there is no answer rather than a wrong one."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """Resident size now."""
    return _field("VmRSS:")


def peak_resident_bytes() -> int | None:
    """Largest resident size so far."""
    return _field("VmHWM:")


def _field(name: str) -> int | None:
    try:
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), None)
