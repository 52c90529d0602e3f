"""How engines are measured side by side."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from efdn.errors import ConfigError, WorkerError
from efdn.shapes import ShapeRange
from engines.nvidia_smi import GpuState
from engines.profiling import machine as machine_module
from engines.profiling import measure, runner
from engines.profiling.machine import machine
from engines.profiling.measure import ROUNDS, Settings, measure_shape, turns
from engines.profiling.record import run_profile
from engines.profiling.runner import CACHES
from tests.profiling_fakes import OPENED, Behaviour, Workers, planned

QUICK = Settings(seconds=0.2, warm_up_s=0.01, starts=False)


@pytest.fixture(autouse=True)
def _without_pauses_and_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PAUSE_S", 0.0)
    # Fakes take no time, but a busy machine may.
    monkeypatch.setattr(measure, "PATIENCE", 1e6)


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


def test_the_baseline_is_what_the_others_are_compared_with_wherever_it_stands() -> None:
    workers = Workers({"a": Behaviour(ms=5, level=103), "b": Behaviour()})
    first, second = planned("a", "b")
    entries = (replace(first, baseline=False), replace(second, baseline=True))
    found = measure_shape(entries, (16, 20), QUICK, start=workers)
    assert [lane.name for lane in found.lanes] == ["a", "b"]
    assert found.reference == "b"
    assert [entry.difference and entry.difference.grey_levels for entry in found.lanes] == [3, None]
    assert workers.order("open") == ["a", "b"]


def test_what_an_engine_learns_while_it_runs_is_told() -> None:
    workers = Workers({"a": Behaviour(detail="no CUDA graph"), "b": Behaviour()})
    found = measure_shape(planned("a", "b"), (16, 20), QUICK, start=workers)
    assert [lane.opened and lane.opened.detail for lane in found.lanes] == ["no CUDA graph", OPENED.detail]


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
