"""Profiles: statistics, warnings, ratios, what is planned and how it is measured."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import ConfigError, EngineError, UsageError, WorkerError
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar, sidecar_path, write_sidecar
from engines.nvidia_smi import GpuState
from engines.profiling import machine as machine_module
from engines.profiling import measure, runner
from engines.profiling import plan as plan_module
from engines.profiling.advice import warnings_of
from engines.profiling.comparison import Difference, compare
from engines.profiling.machine import machine
from engines.profiling.measure import ROUNDS, Settings, measure_shape, turns
from engines.profiling.percentiles import half_medians, percentile, summarize, times_as_fast
from engines.profiling.plan import plan_shapes, plan_subjects
from engines.profiling.record import run_profile
from engines.profiling.runner import CACHES
from tests.profiling_fakes import OPENED, Behaviour, Workers, lane, planned, shape_profile, staged

TIMES = st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=60)
QUICK = Settings(seconds=0.2, warm_up_s=0.01, starts=False)


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


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PAUSE_S", 0.0)


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


# What is planned.


@pytest.fixture
def with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "find_spec", lambda name: object())


def engine_file(name: str, *sides: tuple[int, int], weights_sha256: str | None = None) -> Path:
    """An engine file as far as its sidecar goes."""
    path = Path(name)
    path.write_bytes(b"engine")
    sidecar = read_sidecar(DEFAULT_ONNX)
    shapes = tuple(ShapeRange(min=side, opt=side, max=side) for side in sides)
    sha256 = weights_sha256 or sidecar.weights_sha256
    write_sidecar(sidecar_path(path), replace(sidecar, kind="engine", shapes=shapes, weights_sha256=sha256))
    return path


def names(*arguments: object, **options: object) -> list[str]:
    return [entry.name for entry in plan_subjects(*arguments, **options)]  # type: ignore[arg-type]


@pytest.mark.usefixtures("with_torch")
def test_without_models_engines_run_the_packaged_one_beside_the_published_form() -> None:
    assert names([], []) == ["pytorch-published", "auto"]
    assert names([], ["onnxruntime-cpu", "pytorch", "pytorch"]) == ["pytorch-published", "onnxruntime-cpu", "pytorch"]
    assert names([], ["pytorch", "pytorch-published"]) == ["pytorch-published", "pytorch"]
    assert names([], ["pytorch"], default_baseline=False) == ["pytorch"]
    assert names([], ["pytorch"], baseline="onnxruntime-cpu") == ["onnxruntime-cpu", "pytorch"]
    assert [entry.baseline for entry in plan_subjects([], ["pytorch", "auto"], baseline="pytorch")] == [True, False]


@pytest.mark.usefixtures("with_torch")
def test_every_engine_runs_every_model_of_its_kind() -> None:
    weights = Path("w.safetensors")
    weights.write_bytes(DEFAULT_WEIGHTS.read_bytes())
    found = plan_subjects([DEFAULT_ONNX, weights, DEFAULT_WEIGHTS], ["onnxruntime-cpu", "pytorch"])
    assert [(entry.subject.engine, entry.subject.model) for entry in found] == [
        ("pytorch-published", weights),
        ("onnxruntime-cpu", DEFAULT_ONNX),
        ("pytorch", weights),
        ("pytorch", DEFAULT_WEIGHTS),
    ]
    assert found[1].name == f"onnxruntime-cpu {DEFAULT_ONNX.name}"


@pytest.mark.usefixtures("with_torch")
def test_the_published_form_joins_only_where_it_runs_the_same_weights() -> None:
    ours, foreign = engine_file("a.engine", (16, 16)), engine_file("b.engine", (16, 16), weights_sha256="0" * 64)
    assert names([ours], []) == ["pytorch-published", "tensorrt"]
    assert names([foreign], []) == ["tensorrt"]
    assert names([ours, foreign], []) == ["tensorrt a.engine", "tensorrt b.engine"]
    assert names([foreign], [], baseline="pytorch-published")[0] == "pytorch-published"
    sidecar_path(ours).unlink()
    assert names([ours], []) == ["tensorrt"]


def test_without_pytorch_there_is_no_default_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "find_spec", lambda name: None)
    assert names([], ["onnxruntime-cpu"]) == ["onnxruntime-cpu"]


def test_cuda_graphs_on_and_off_are_two_subjects_of_an_engine_file_alone() -> None:
    path = engine_file("a.engine", (16, 16))
    found = plan_subjects([path, DEFAULT_ONNX], [], graphs=(True, False), threads=2, default_baseline=False)
    assert [(entry.name, entry.subject.options.cuda_graph) for entry in found] == [
        ("tensorrt a.engine", True),
        ("tensorrt a.engine, no graph", False),
        (f"auto {DEFAULT_ONNX.name}", True),
    ]
    assert {entry.subject.options.threads for entry in found} == {2}


def test_shapes_are_those_asked_for_or_those_that_engines_have() -> None:
    fixed = plan_subjects([engine_file("a.engine", (16, 20), (64, 64))], [])
    both = plan_subjects([engine_file("a.engine", (16, 20)), DEFAULT_ONNX], [])
    assert plan_shapes(plan_subjects([], []), []) == ((256, 256),)
    assert plan_shapes(fixed, []) == ((16, 20), (64, 64))
    assert plan_shapes(both, []) == ((16, 20), (256, 256))
    assert plan_shapes(both, [(300, 13), (20, 20), (20, 20)]) == ((20, 20), (300, 13))
    engine = next(entry for entry in both if entry.subject.model == Path("a.engine"))
    assert engine.takes((16, 20))
    assert not engine.takes((256, 256))


@pytest.mark.parametrize(
    ("models", "engines", "baseline", "said"),
    [
        ([], ["warp"], None, "no engine 'warp'"),
        ([], ["tensorrt"], None, "engine tensorrt needs an engine file"),
        ([], [], "tensorrt", "baseline tensorrt needs an engine file"),
        ([DEFAULT_ONNX], ["pytorch"], None, "none of the engines given reads .*onnx, which is ONNX"),
        ([DEFAULT_ONNX], ["onnxruntime-cpu", "pytorch"], None, "engine pytorch reads weights files, and none"),
    ],
)
def test_plans_that_cannot_be_are_explained(
    models: list[Path], engines: list[str], baseline: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan_subjects(models, engines, baseline=baseline)


def test_a_model_that_is_missing_is_an_error() -> None:
    with pytest.raises(EngineError, match="no model file"):
        plan_subjects([Path("none.onnx")], [])


# How it is measured.


def test_every_engine_begins_as_many_rounds_as_any_other() -> None:
    order = turns(3, 6)
    assert all(sorted(row) == [0, 1, 2] for row in order)
    assert [row[0] for row in order] == [0, 1, 2, 0, 1, 2]


def test_engines_take_turns_and_every_sample_is_kept() -> None:
    workers = Workers({"a": Behaviour(ms=10), "b": Behaviour(ms=1, level=101), "slow": Behaviour(ms=90)})
    found = measure_shape(planned("a", "b", "slow"), (16, 20), QUICK, start=workers)
    after_warm_up = workers.order("run")[3:]
    assert after_warm_up == ["a", "b", "slow", "b", "slow", "a", "slow", "a", "b"] * 3 + ["a", "b", "slow"]
    assert [len(lane.rounds) for lane in found.lanes] == [ROUNDS] * 3
    # A slice of 20 ms, and at least one run.
    assert [len(lane.rounds[0]) for lane in found.lanes] == [2, 20, 1]
    assert found.reference == "a"
    ratios = [found.ratio(entry) for entry in found.lanes]
    assert [ratio and ratio.compute for ratio in ratios] == [1, 10, pytest.approx(1 / 9)]
    assert [ratio and ratio.end_to_end for ratio in ratios] == [1, 5.5, pytest.approx(11 / 91)]
    assert [entry.difference and entry.difference.grey_levels for entry in found.lanes] == [None, 1, 0]
    assert found.lanes[0].host_growth == 200
    assert found.decode_ms
    assert found.encode_ms
    assert workers.living == 0


def test_a_cold_start_has_an_empty_cache_and_the_warm_one_the_same() -> None:
    workers = Workers({"a": Behaviour(), "b": Behaviour()})
    found = measure_shape(planned("a", "b"), (16, 20), replace(QUICK, starts=True), start=workers)
    cold, warm, other, _ = workers.environments
    assert set(cold) == set(CACHES)
    assert cold == warm
    assert not set(cold.values()) & set(other.values())
    for entry in found.lanes:
        for start in (entry.cold, entry.warm):
            assert start is not None
            assert start.open_ms == OPENED.open_ms
            assert start.first_ms == 31
            assert start.total_ms > 0


def test_without_starts_the_users_own_caches_are_used() -> None:
    workers = Workers({"a": Behaviour()})
    found = measure_shape(planned("a"), (16, 20), QUICK, start=workers)
    assert workers.environments == [{}]
    assert (found.lanes[0].cold, found.lanes[0].warm) == (None, None)


@pytest.mark.parametrize(
    ("fails", "after", "rounds"),
    [("open", 0, 0), ("prepare", 0, 0), ("run", 0, 0), ("run", 4, 3), ("output", 0, ROUNDS), ("memory", 0, ROUNDS)],
)
def test_an_engine_that_fails_does_not_stop_the_others(fails: str, after: int, rounds: int) -> None:
    failing = Behaviour(fails=fails, after=after, raises=WorkerError)
    workers = Workers({"a": Behaviour(), "b": failing, "c": Behaviour()})
    found = measure_shape(planned("a", "b", "c"), (16, 20), QUICK, start=workers)
    assert [entry.error for entry in found.lanes] == [None, "it broke", None]
    assert [len(entry.rounds) for entry in found.lanes] == [ROUNDS, rounds, ROUNDS]
    assert workers.living == 0
    ratio = found.ratio(found.lanes[1])
    assert (None if ratio is None else ratio.compute) == (1 if rounds else None)


def test_where_the_baseline_fails_the_next_one_takes_its_place() -> None:
    workers = Workers({"a": Behaviour(fails="open"), "b": Behaviour(), "c": Behaviour(ms=5)})
    found = measure_shape(planned("a", "b", "c"), (16, 20), QUICK, start=workers)
    assert found.reference == "b"
    ratio = found.ratio(found.lanes[2])
    assert ratio is not None
    assert ratio.compute == 2
    assert found.lanes[2].difference is not None


@pytest.mark.parametrize(("fails", "after"), [("open", 0), ("run", 0), ("run", 5), ("output", 0), ("memory", 0)])
def test_an_interruption_ends_all_processes(fails: str, after: int) -> None:
    workers = Workers({"a": Behaviour(), "b": Behaviour(fails=fails, after=after, raises=KeyboardInterrupt)})
    with pytest.raises(KeyboardInterrupt):
        measure_shape(planned("a", "b"), (16, 20), QUICK, start=workers)
    assert workers.living == 0


def test_more_pictures_than_an_engine_takes_at_once_are_refused_by_their_number() -> None:
    workers = Workers({"a": Behaviour()})
    (entry,) = measure_shape(planned("a"), (16, 20), replace(QUICK, batch=5), start=workers).lanes
    assert entry.error == "m.onnx takes 4 at once, asked for 5"


def test_the_gpu_that_works_hardest_is_looked_at_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    idle, busy = GpuState(name="idle", power_w=20.0), GpuState(name="busy", power_w=300.0)
    runs: list[int] = []
    workers = Workers({"a": Behaviour(opened=replace(OPENED, staged=True)), "b": Behaviour()})

    def query() -> tuple[GpuState, ...]:
        runs.append(len(workers.order("run")))
        return (idle, busy)

    monkeypatch.setattr(runner, "query_gpus", query)
    monkeypatch.setattr(runner, "GPU_LOAD_S", 0.05)
    found = measure_shape(planned("a", "b"), (16, 20), QUICK, start=workers)
    assert [entry.gpu for entry in found.lanes] == [busy, None]
    # Once, and not before all samples were taken and the GPU was at work again.
    assert len(runs) == 1
    assert runs[0] > 2 + 2 * ROUNDS
    assert sum(len(entry.rounds) for entry in found.lanes) == 2 * ROUNDS


def test_slow_engines_get_fewer_rounds_but_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PATIENCE", 0.0)
    workers = Workers({"a": Behaviour(), "b": Behaviour()})
    found = measure_shape(planned("a", "b"), (16, 20), QUICK, start=workers)
    assert [len(entry.rounds) for entry in found.lanes] == [measure.FEWEST_ROUNDS] * 2


def test_layers_are_kept_where_asked_for() -> None:
    layers = [{"name": "x", "kind": "Conv", "ms": 1.5}]
    workers = Workers({"a": Behaviour(layers=layers)})
    for asked in (True, False):
        (entry,) = measure_shape(planned("a"), (16, 20), replace(QUICK, layers=asked), start=workers).lanes
        assert [(layer.name, layer.kind, layer.ms) for layer in entry.layers] == [("x", "Conv", 1.5)] * asked


def test_what_auto_chose_is_named_and_told_apart() -> None:
    chosen = Behaviour(opened=replace(OPENED, engine="b"))
    workers = Workers({"auto": chosen, "b": Behaviour()})
    found = measure_shape(planned("auto", "b"), (16, 20), QUICK, start=workers)
    assert [entry.name for entry in found.lanes] == ["b", "b (2)"]


def test_progress_only_grows_and_a_shape_that_is_not_taken_is_left_out() -> None:
    workers = Workers({"a": Behaviour(), "b": Behaviour()})
    first, second = planned("a", "b")
    side = (16, 20)
    second = replace(second, shapes=(ShapeRange(min=side, opt=side, max=side),))
    seen: list[float] = []
    note: Callable[[float, str], None] = lambda share, phase: seen.append(share)  # noqa: E731
    found = run_profile(
        (first, second), [side, (32, 32)], QUICK, report=note, start=workers, command=["x"], only_fitting=True
    )
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1
    assert [[entry.name for entry in shape.lanes] for shape in found.shapes] == [["a", "b"], ["a"]]
    assert found.as_json()["command"] == ["x"]


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": float("nan")}, {"warm_up_s": -1}, {"batch": 0}])
def test_settings_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_the_machine_is_described_without_importing_what_is_installed() -> None:
    found = machine()
    assert found["packages"]["numpy"] == np.__version__
    assert 1 <= found["usable_cores"] <= found["cores"]
    assert found["processor"]


def test_a_commit_is_told_of_a_checkout_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "SOURCE", tmp_path)
    assert machine_module.commit() is None
    (tmp_path / "pyproject.toml").write_text("")
    answers = {"rev-parse": "abc123", "status": " M file"}
    monkeypatch.setattr(machine_module, "_git", lambda command, *rest: answers[command])
    assert machine_module.commit() == "abc123+"
    answers["status"] = ""
    assert machine_module.commit() == "abc123"
    answers["rev-parse"] = ""
    assert machine_module.commit() is None
