"""How much memory this process takes. Linux tells; elsewhere there is no answer rather than a wrong one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR, RESET_PEAK = Path("/proc/self/clear_refs"), "5"


def resident_bytes() -> int | None:
    """Resident size now."""
    return _field("VmRSS:")


def peak_resident_bytes() -> int | None:
    """Largest resident size since the process began, or since `clear_peak`."""
    return _field("VmHWM:")


def clear_peak() -> None:
    """Lets the peak begin anew at what is resident now; where the system cannot, it stays that of the whole process."""
    with suppress(OSError):
        CLEAR.write_text(RESET_PEAK, encoding="ascii")


def _field(name: str) -> int | None:
    try:
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), None)
