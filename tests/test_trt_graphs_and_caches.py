"""What TensorRT engines keep: recorded kernels while they are open, compiled ones from start to start."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from efdn.caches import cache_folder
from engines.options import RunOptions
from engines.trt.open import open_tensorrt
from tests.fakes.machine import Machine
from tests.fakes.tensorrt import IRuntimeCache
from tests.trt_machine import MODEL, cache_files, enlarged, machine, only_rtx, only_standard, pictures, run, runtime

# Fixtures are taken by name.
__all__ = ["machine", "runtime"]


@only_standard
def test_kernels_are_recorded_once_while_the_shape_stays(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        for _ in range(10):
            run(engine, pictures(1, 20, 20))
        # Once as it is, once to be recorded; after that the recording is replayed.
        assert machine.behaviour.launches == 2
        assert "a graph" in machine.device.leaks()
        run(engine, pictures(1, 16, 16))
        # A recording is not good for a context that has changed, and is not kept for its return.
        assert "a graph" not in machine.device.leaks()
        for _ in range(10):
            run(engine, pictures(1, 20, 20))
        assert machine.behaviour.launches == 5


@only_standard
def test_layers_are_timed_beside_a_recording(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        for side in (20, 20, 20, 16, 20, 20, 20):
            x = pictures(1, side, side)
            np.testing.assert_array_equal(run(engine, x), enlarged(x))
            engine.layer_times({"input": pictures(1, 24, 20)}, runs=2)
            np.testing.assert_array_equal(run(engine, x), enlarged(x))


@only_standard
@pytest.mark.parametrize("able", [True, False])
def test_without_recording_it_runs_all_the_same_and_says_so(machine: Machine, able: bool) -> None:
    machine.write()
    machine.device.records, machine.device.graphs = False, able
    with open_tensorrt(MODEL) as engine:
        for _ in range(6):
            x = pictures(1, 20, 20)
            np.testing.assert_array_equal(run(engine, x), enlarged(x))
        assert "no CUDA graph" in engine.detail


@only_rtx
@pytest.mark.parametrize(("graph", "strategy"), [(True, 1), (False, 0)])
def test_rtx_records_by_itself_when_told(machine: Machine, graph: bool, strategy: int) -> None:
    machine.write()
    with open_tensorrt(MODEL, RunOptions(cuda_graph=graph)) as engine:
        run(engine, pictures(1, 20, 20))
        assert machine.behaviour.graph_strategies == [strategy]


# The runtime cache


@only_rtx
def test_compiled_kernels_are_kept_for_the_next_start(machine: Machine) -> None:
    sidecar = machine.write()
    open_tensorrt(MODEL).close()
    (path,) = cache_files()
    assert path.name == f"{sidecar.sha256[:16]}.bin"
    assert path.parts[-4:-1] == ("tensorrt-rtx", "1.7.1.116", "Fake-RTX-sm86-cuda13.0")
    assert path.read_bytes() == b"+kernels"
    machine.device.stream = 7
    with open_tensorrt(MODEL) as engine:
        assert "warm cache" in engine.detail
    assert machine.behaviour.caches_offered == [b"+kernels"]
    assert path.read_bytes() == b"+kernels"


@only_rtx
def test_a_cache_that_is_refused_is_replaced(machine: Machine) -> None:
    machine.write()
    open_tensorrt(MODEL).close()
    (path,) = cache_files()
    path.write_bytes(b"of another driver")
    machine.behaviour.accepts_caches = False
    machine.device.stream = 7
    with open_tensorrt(MODEL) as engine:
        assert "warm cache" not in engine.detail
    assert path.read_bytes() == b"+kernels"


@only_rtx
def test_two_processes_at_one_cache_leave_it_whole(machine: Machine) -> None:
    machine.write()
    first = open_tensorrt(MODEL)
    (path,) = cache_files()
    path.unlink()  # As if both had found none.
    second = open_tensorrt(MODEL)
    first.close()
    machine.device.stream = 7
    second.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == b"+kernels"


@only_rtx
def test_a_gpu_that_failed_still_lets_go_of_everything(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write()
    engine = open_tensorrt(MODEL)
    run(engine, pictures(1, 20, 20))
    monkeypatch.setattr(IRuntimeCache, "serialize", lambda self: None)
    engine.close()
    gc.collect()
    assert machine.device.leaks() == []


@only_rtx
def test_a_cache_folder_that_cannot_be_written_is_no_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write()
    Path("occupied").write_bytes(b"a file")
    monkeypatch.setenv("EFDN_CACHE", "occupied")
    with open_tensorrt(MODEL) as engine:
        x = pictures(1, 20, 20)
        np.testing.assert_array_equal(run(engine, x), enlarged(x))
    assert Path("occupied").read_bytes() == b"a file"


@only_standard
def test_standard_tensorrt_keeps_no_cache(machine: Machine) -> None:
    machine.write()
    open_tensorrt(MODEL).close()
    assert not cache_folder().exists()
