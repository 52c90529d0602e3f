"""Measures everything and writes it: some five minutes on two cores."""

from __future__ import annotations

import sys
from datetime import datetime, timezone

from benchmarks.command import exit_code_of
from benchmarks.cpu_path.ladder import time_ladder
from benchmarks.cpu_path.page import COMMAND, PAGE, RESULTS, write_page
from benchmarks.cpu_path.rates import measure_rates, work_of_graph
from benchmarks.cpu_path.shares import measure_shares
from benchmarks.machine import machine
from benchmarks.marked_text import check_place
from efdn.files import check_target, write_json
from engines.profiling.machine import commit

SIDE = 256


def main() -> int:
    """Measures everything, writes the results, the tables and the chart."""

    def work() -> None:
        check_place(PAGE, COMMAND)  # Before the work, not after it.
        check_target(RESULTS)
        measure_and_write()

    return exit_code_of(work, "cpu-path")


def measure_and_write() -> None:
    """All of it, one after the other."""
    print(f"passes one by one at {SIDE}x{SIDE} ...", flush=True)
    ladder = time_ladder(SIDE)
    print("where the time goes ...", flush=True)
    shares = measure_shares(SIDE)
    print("what the machine can do ...", flush=True)
    content = {
        "command": COMMAND,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "side": SIDE,
        "ladder": ladder,
        "shares_ms": shares,
        "rates": measure_rates(),
        "work": work_of_graph(SIDE),
    }
    write_json(RESULTS, content)
    print(write_page(content))


if __name__ == "__main__":
    sys.exit(main())
