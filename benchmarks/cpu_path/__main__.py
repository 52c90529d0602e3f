"""Measures everything and writes it: some four minutes on two cores."""

from __future__ import annotations

from benchmarks.cpu_path.ladder import time_ladder
from benchmarks.cpu_path.page import RESULTS, write_page
from benchmarks.cpu_path.rates import measure_rates, work_of_graph
from benchmarks.cpu_path.shares import measure_shares
from benchmarks.machine import machine
from efdn.files import write_json

SIDE = 256


def main() -> None:
    """Measures everything, writes the results, the tables and the chart."""
    print(f"passes one by one at {SIDE}x{SIDE} ...", flush=True)
    ladder = time_ladder(SIDE)
    print("where the time goes ...", flush=True)
    shares = measure_shares(SIDE)
    print("what the machine can do ...", flush=True)
    content = {
        "command": "python -m benchmarks.cpu_path",
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
    main()
