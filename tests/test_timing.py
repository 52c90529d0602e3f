"""Timing of calls in turns."""

from benchmarks.timing import time_interleaved


def test_timing_takes_turns_and_keeps_raw_times() -> None:
    order: list[str] = []
    timings = time_interleaved({name: lambda name=name: order.append(name) for name in "ab"}, rounds=3, warm_up=1)  # type: ignore[misc]
    assert order == list("abababab")
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3]
    assert timings["a"].speed_up_over(timings["a"]) == 1
