"""Timing of calls in turns."""

from benchmarks.timing import Timings, time_interleaved


def test_timing_takes_turns_from_another_call_on_each_round_and_keeps_raw_times() -> None:
    order: list[str] = []
    timings = time_interleaved({name: lambda name=name: order.append(name) for name in "abc"}, rounds=3, warm_up=1)  # type: ignore[misc]
    assert order == list("abcbcacababc")
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3, 3]
    assert timings["a"].speed_up_over(timings["a"]) == 1


def test_ratios_are_of_the_same_round() -> None:
    slow, fast = (Timings(name="", seconds=seconds) for seconds in ((2.0, 2.0, 9.0), (1.0, 2.0, 3.0)))
    assert fast.speed_ups_over(slow) == (2, 1, 3)
    assert fast.speed_up_over(slow) == 2
