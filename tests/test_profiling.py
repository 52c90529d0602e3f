"""Statistics, warnings and ratios of profiles."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.nvidia_smi import GpuState
from engines.profiling.advice import Warn, grouped, warnings_of
from engines.profiling.comparison import Difference, compare
from engines.profiling.percentiles import half_medians, percentile, summarize, times_as_fast
from tests.profiling_fakes import lane, shape_profile, staged

TIMES = st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=60)


@given(TIMES, st.floats(0, 1))
def test_percentiles_are_numpys(times: list[float], share: float) -> None:
    assert percentile(times, share) == pytest.approx(float(np.quantile(times, share)), rel=1e-12)


@given(TIMES)
def test_figures_are_in_order(times: list[float]) -> None:
    found = summarize(times)
    assert found.count == len(times)
    assert found.min == min(times)
    assert found.max == max(times)
    assert found.min <= found.median <= found.p90 <= found.p95 <= found.p99 <= found.max
    assert found.mean == pytest.approx(float(np.mean(times)), rel=1e-12)
    assert found.cv == pytest.approx(float(np.std(times) / np.mean(times)), rel=1e-6, abs=1e-9)


@given(st.lists(st.lists(st.floats(1, 100), min_size=1, max_size=5), min_size=1, max_size=8), st.data())
def test_ratios_do_not_see_a_machine_that_drifts(rounds: list[list[float]], data: st.DataObject) -> None:
    """Whatever a round's speed, engines that slow down together keep their ratio."""
    speeds = data.draw(st.lists(st.floats(0.1, 10), min_size=len(rounds), max_size=len(rounds)))
    reference = [[3.0 * speed] for speed in speeds]
    drifted = [[time * speed for time in times] for times, speed in zip(rounds, speeds, strict=True)]
    expected = times_as_fast(rounds, [[3.0]] * len(rounds))
    assert times_as_fast(drifted, reference) == pytest.approx(expected, rel=1e-9)
    assert times_as_fast(rounds, rounds) == 1


def test_ratio_is_the_median_over_rounds_of_ratios_of_medians() -> None:
    own, theirs = [[1, 2, 9], [2], [1]], [[4, 4, 4], [12], [3]]
    assert times_as_fast(own, theirs) == 3  # of 2, 6 and 3
    assert times_as_fast(own, [[4.0], []]) == 2
    assert times_as_fast([], theirs) is None
    assert times_as_fast([[0.0]], [[1.0]]) is None


def test_halves_are_taken_in_the_order_of_samples() -> None:
    assert half_medians([1, 1, 5, 9, 9, 9]) == (1, 9)
    assert half_medians([1, 3]) == (1, 3)


def kinds(*lanes: object, load: float | None = None) -> list[str]:
    profile = shape_profile(lane("ref", [[10.0] * 30]), *lanes)  # type: ignore[arg-type]
    return [warning.kind for warning in warnings_of([profile], load, 2) if "ref" not in (warning.where or "")]


SAME = Difference(grey_levels=1, differing_share=0.1, psnr_db=60.0)


def test_a_quiet_run_has_no_warnings() -> None:
    assert kinds(lane("a", [[10.0, 10.1] * 10], difference=SAME), load=0.9) == []


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([10.0] * 19, ["few runs"]),
        ([10.0] * 20, []),
        ([10.0, 13.0] * 10, ["noisy"]),
        ([10.0] * 10 + [11.5] * 10, ["drifting"]),
        ([11.5] * 10 + [10.0] * 10, ["drifting"]),
        ([10.0] * 10 + [10.9] * 10, []),
        ([5.0] * 10 + [20.0] * 10, ["noisy", "drifting"]),
    ],
)
def test_too_few_scattered_and_drifting_times_are_pointed_out(times: list[float], expected: list[str]) -> None:
    assert kinds(lane("a", [times], difference=SAME)) == expected


@pytest.mark.parametrize(("enqueue", "expected"), [(7.9, []), (8.1, ["enqueue-bound"])])
def test_a_host_too_slow_for_its_device_is_pointed_out(enqueue: float, expected: list[str]) -> None:
    assert kinds(lane("a", [[10.0] * 20], make=staged(enqueue), difference=SAME)) == expected


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        (GpuState(name="g"), []),
        (GpuState(name="g", sm_clock_mhz=1500, max_sm_clock_mhz=2000), []),
        (GpuState(name="g", sm_clock_mhz=1300, max_sm_clock_mhz=2000), ["throttled"]),
        (GpuState(name="g", throttle_reasons=("application clocks",)), []),
        (GpuState(name="g", throttle_reasons=("hardware thermal slowdown",)), ["throttled"]),
    ],
)
def test_a_gpu_held_back_under_load_is_pointed_out(gpu: GpuState, expected: list[str]) -> None:
    assert kinds(lane("a", [[10.0] * 20], gpu=gpu, difference=SAME)) == expected


def test_other_outputs_other_load_and_failures_are_pointed_out() -> None:
    other = Difference(grey_levels=2, differing_share=0.5, psnr_db=40.0)
    assert kinds(lane("a", [[10.0] * 20], difference=other)) == ["different output"]
    assert kinds(lane("a", [[10.0] * 20])) == ["different output"]
    assert kinds(lane("a", [], error="it broke")) == ["failed"]
    assert kinds(load=1.1) == ["busy machine"]
    assert kinds(load=1.0) == []


def test_warnings_name_shape_engine_figures_and_limit() -> None:
    (warning,) = warnings_of([shape_profile(lane("a", [[10.0, 13.0] * 10]))], None, 2)
    assert str(warning).startswith("noisy: 16x20, a: times scatter by 13% (standard deviation over mean, limit 10%): ")


def test_differences_are_counted_over_all_pictures() -> None:
    reference = np.zeros((2, 4, 4, 3), np.uint8)
    other = reference.copy()
    assert compare(other, reference) == Difference(grey_levels=0, differing_share=0.0, psnr_db=None)
    other[1, 0, 0] = (255, 0, 3)
    found = compare(other, reference)
    assert found is not None
    assert (found.grey_levels, found.differing_share) == (255, 2 / 96)
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / ((255**2 + 9) / 96)), rel=1e-9)
    assert compare(reference[:1], reference) is None


def test_throughput_is_of_whole_pictures_and_upscaled_pixels() -> None:
    profile = replace(shape_profile(lane("a", [[9.0, 19.0]])), batch=3)
    # Two runs of three pictures in 10 and 20 ms, end to end.
    assert profile.pictures_per_s(profile.lanes[0]) == pytest.approx(200)
    assert profile.megapixels_per_s(profile.lanes[0]) == pytest.approx(200 * 16 * 20 * 4 / 1e6)
    assert profile.pictures_per_s(lane("b", [])) is None


def test_what_is_left_of_a_run_is_neither_copies_nor_network() -> None:
    assert lane("a", [[9.0]], make=staged(1.0)).rest() == [pytest.approx(1.0)]


def test_warnings_are_grouped_by_what_to_do() -> None:
    one = Warn(kind="noisy", where="16x16, a", text="times scatter by 12% (limit 10%): trust the median")
    other = Warn(kind="noisy", where="16x16, b", text="times scatter by 20% (limit 10%): trust the median")
    busy = Warn(kind="busy machine", where=None, text="load 3: run again")
    assert grouped([one, busy, other]) == [
        (
            "noisy: trust the median",
            [f"16x16, {name}: times scatter by {share}% (limit 10%)" for name, share in (("a", 12), ("b", 20))],
        ),
        ("busy machine: run again", ["load 3"]),
    ]
