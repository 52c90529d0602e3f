"""What `nvidia-smi`, which comes with the driver, says of the GPUs. Without it there is nothing to say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PROGRAM, LIMIT_S = "nvidia-smi", 20
MIB = 1 << 20

THROTTLE_FIELDS = ("clocks_throttle_reasons.active", "clocks_event_reasons.active")
"""The same value: newer drivers renamed it, and have been known to drop the old name."""

FIELDS = (
    "name",
    "driver_version",
    "compute_cap",
    "memory.total",
    "memory.used",
    "clocks.sm",
    "clocks.max.sm",
    "temperature.gpu",
    "power.draw",
    *THROTTLE_FIELDS,
)

THROTTLE_REASONS = {
    0x002: "application clocks",
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "power brake",
    0x100: "display clocks",
}
"""Bits of NVML's `nvmlClocksEventReasons`; the first, an idle GPU, is no reason to worry."""

Runner = Callable[[Sequence[str]], "str | None"]


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """One GPU at one moment; None for what it or its driver does not tell.

    Attributes:
        name: of the GPU.
        driver_version: such as "560.35.03".
        compute_capability: such as "8.6".
        memory_total_bytes: its memory.
        memory_used_bytes: of all processes together.
        sm_clock_mhz: of the multiprocessors, now.
        max_sm_clock_mhz: the fastest that they go.
        temperature_c: of the chip.
        power_w: drawn now.
        throttle_reasons: why the clocks are not the fastest; empty where nothing holds them back but idleness.
    """

    name: str
    driver_version: str | None = None
    compute_capability: str | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    sm_clock_mhz: float | None = None
    max_sm_clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    throttle_reasons: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "throttle_reasons": list(self.throttle_reasons)}


def query_gpus(run: Runner | None = None) -> tuple[GpuState, ...]:
    """All GPUs, in the order in which `nvidia-smi` has them; none where it is missing or fails.

    Args:
        run: stands in for the program in tests; gives what it prints, or None where it cannot be run.
    """
    run = run or _printed
    fields = list(FIELDS)
    while fields:
        printed = run([PROGRAM, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
        if printed is None:
            return ()
        # A driver that is older or newer does not know every field, and then answers none of them.
        unknown = [name for name in re.findall(r'[Ff]ield "([^"]+)"', printed) if name in fields]
        if not unknown:
            return parse_gpus(printed, fields)
        fields = [name for name in fields if name not in unknown]
    return ()


def parse_gpus(printed: str, fields: Sequence[str] = FIELDS) -> tuple[GpuState, ...]:
    """Lines of values, separated by commas, as GPUs; lines with another number of values are messages."""
    rows = [[value.strip() for value in line.split(",")] for line in printed.splitlines()]
    return tuple(_state(dict(zip(fields, row, strict=True))) for row in rows if len(row) == len(fields) > 1)


def _state(values: dict[str, str]) -> GpuState:
    def text(field: str) -> str | None:
        value = values.get(field, "")
        # "[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU is lost]".
        return None if not value or value.startswith("[") or value in ("N/A", "Not Supported") else value

    def number(field: str) -> float | None:
        match = re.fullmatch(r"\d+(\.\d+)?", text(field) or "")
        return None if match is None else float(match[0])

    def size(field: str) -> int | None:
        value = number(field)
        return None if value is None else round(value * MIB)

    return GpuState(
        name=text("name") or "unknown GPU",
        driver_version=text("driver_version"),
        compute_capability=text("compute_cap"),
        memory_total_bytes=size("memory.total"),
        memory_used_bytes=size("memory.used"),
        sm_clock_mhz=number("clocks.sm"),
        max_sm_clock_mhz=number("clocks.max.sm"),
        temperature_c=number("temperature.gpu"),
        power_w=number("power.draw"),
        throttle_reasons=_reasons(*map(text, THROTTLE_FIELDS)),
    )


def _reasons(*masks: str | None) -> tuple[str, ...]:
    """Names of the bits in hexadecimal numbers such as "0x0000000000000004"."""
    bits = 0
    for mask in masks:
        if mask is not None and re.fullmatch(r"0x[0-9a-fA-F]+", mask):
            bits |= int(mask, 16)
    return tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)


def _printed(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # It says what is wrong on stdout, and so does a driver that does not answer.
    return done.stdout + done.stderr
