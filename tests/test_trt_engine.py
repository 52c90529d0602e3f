"""TensorRT engines at run time, against a fake TensorRT on a fake GPU that forgives nothing."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

from efdn.errors import EngineError, ShapeError
from efdn.shapes import ShapeRange
from engines.options import RunOptions
from engines.protocol import StagedEngine
from engines.select import choose_engine
from engines.trt.open import open_tensorrt
from engines.whole import upscale
from tests.conftest import noise
from tests.fakes.machine import RANGE, Machine
from tests.trt_machine import MODEL, enlarged, machine, pictures, run, runtime

# Fixtures are taken by name.
__all__ = ["machine", "runtime"]


@pytest.mark.parametrize("graph", [True, False])
def test_results_are_right_whatever_came_before(machine: Machine, graph: bool) -> None:
    machine.write()
    with open_tensorrt(MODEL, RunOptions(cuda_graph=graph)) as engine:
        assert engine.name == "tensorrt"
        assert [str(dim) for dim in engine.inputs[0].dims] == ["1", "13..64", "13..80", "3"]
        assert [str(dim) for dim in engine.outputs[0].dims] == ["1", "52..256", "52..320", "3"]
        for number, side in enumerate((20, 20, 20, 16, 30, 20, 16, 20, 16, 20, 20, 16, 16, 64)):
            x = pictures(1, side, side, number)
            np.testing.assert_array_equal(run(engine, x), enlarged(x))


def test_floats_go_in_and_out_too(machine: Machine) -> None:
    machine.write(picture=False)
    with choose_engine(MODEL).engine as engine:
        x = np.random.default_rng(0).random((1, 3, 20, 31), dtype=np.float32)
        np.testing.assert_array_equal(run(engine, x), x.repeat(4, axis=2).repeat(4, axis=3))
        pixels = noise(17, 20)
        np.testing.assert_array_equal(upscale(engine, pixels), enlarged(pixels[None])[0])


def test_a_batch_is_the_pictures_one_by_one(machine: Machine) -> None:
    machine.write(batch=4)
    with open_tensorrt(MODEL) as engine:
        assert str(engine.inputs[0].dims[0]) == "1..4"
        for count in (4, 1, 3):
            x = pictures(count, 20, 24)
            np.testing.assert_array_equal(run(engine, x), enlarged(x))
        with pytest.raises(ShapeError, match=r"takes input uint8 \(1\.\.4, .* it does not take input uint8 \(5, "):
            run(engine, pictures(5, 20, 24))


def test_results_outlive_later_runs_and_the_engine(machine: Machine) -> None:
    machine.write()
    first, second = pictures(1, 20, 20, 1), pictures(1, 20, 20, 2)
    with open_tensorrt(MODEL) as engine:
        kept = run(engine, first)
        part = kept[0, 4:8, :, 1]
        del kept
        gc.collect()
        results = [run(engine, second) for _ in range(8)]
    gc.collect()
    np.testing.assert_array_equal(part, enlarged(first)[0, 4:8, :, 1])
    np.testing.assert_array_equal(results[0], enlarged(second))
    assert machine.device.leaks() == [f"{20 * 20 * 16 * 3} bytes pinned"] * 9
    del part, results


def test_memory_is_reused_and_does_not_grow(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        for side in (64, 20, 32):
            run(engine, pictures(1, side, side))
        gc.collect()
        before = machine.device.allocated_bytes, machine.device.pinned_bytes
        for number in range(200):
            run(engine, pictures(1, (20, 32, 64)[number % 3], 20))
        gc.collect()
        assert machine.device.allocated_bytes == before[0]
        # Page-locked buffers of other sizes take the place of those that were kept.
        assert machine.device.pinned_bytes <= 5 * 64 * 64 * 3 * 16


def test_results_may_be_found_by_the_garbage_collector_at_any_time(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        for seed in range(50):
            cycle: list[Any] = [run(engine, pictures(1, 20, 20, seed))]
            cycle.append(cycle)
            del cycle
        before, gc_thresholds = machine.device.pinned_bytes, gc.get_threshold()
        gc.set_threshold(1)  # In the midst of everything.
        try:
            for seed in range(50):
                x = pictures(1, 20, 20, seed)
                ring: list[Any] = [run(engine, x)]
                np.testing.assert_array_equal(ring[0], enlarged(x))
                ring.append(ring)
                del ring
        finally:
            gc.set_threshold(*gc_thresholds)
        gc.collect()
        assert machine.device.pinned_bytes <= before


def test_threads_wait_for_each_other(machine: Machine) -> None:
    machine.write()
    wrong: list[int] = []
    with open_tensorrt(MODEL) as engine:

        def work(seed: int) -> None:
            for number in range(20):
                x = pictures(1, 13 + seed, 20, seed + number)
                if not np.array_equal(run(engine, x), enlarged(x)):
                    wrong.append(seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_the_smallest_profile_that_fits_is_chosen(machine: Machine) -> None:
    small = ShapeRange(min=(20, 20), opt=(20, 20), max=(20, 20))
    machine.write((*RANGE, small))
    with open_tensorrt(MODEL) as engine:
        assert engine.shapes == (*RANGE, small)
        for side in (64, 20, 20, 21, 20):
            run(engine, pictures(1, side, side))
        assert machine.behaviour.profiles == [1, 0, 1]
        machine.behaviour.switches_profiles = False
        with pytest.raises(EngineError, match="could not switch"):
            run(engine, pictures(1, 30, 30))


def test_what_no_profile_takes_is_said_with_both_sides(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        with pytest.raises(ShapeError, match=r"takes input uint8 \(1, 13\.\.64, 13\.\.80, 3\), .* \(1, 65, 20, 3\)"):
            run(engine, pictures(1, 65, 20))
        with pytest.raises(ShapeError, match=r"13\.\.64x13\.\.80 .*this one has 129x20"):
            upscale(engine, noise(129, 20))
        with pytest.raises(ShapeError, match=r"it does not take input float32 \(1, 20, 20, 3\)"):
            run(engine, np.zeros((1, 20, 20, 3), np.float32))
        with pytest.raises(ShapeError, match="does not take nothing"):
            engine.infer({})
        x = pictures(1, 20, 20)
        np.testing.assert_array_equal(run(engine, x), enlarged(x))


def test_stages_can_be_timed_apart(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        assert isinstance(engine, StagedEngine)
        x = pictures(1, 20, 20)
        engine.bind({"input": x})
        marks = [engine.mark()]
        for stage in (engine.upload, engine.enqueue, engine.download):
            stage()
            marks.append(engine.mark())
        engine.wait()
        np.testing.assert_array_equal(engine.collect()["output"], enlarged(x))
        assert [later.ms_since(marks[0]) for later in marks] == [0, 1, 2, 3]
        memory = engine.device_memory()
        assert memory.total - memory.free == machine.device.allocated_bytes > 0


def test_layers_are_timed_without_disturbing_the_engine(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        x = pictures(1, 20, 20)
        (layer,) = engine.layer_times({"input": x}, runs=3)
        assert (layer.name, layer.ms) == ("repeat", 0.25)
        np.testing.assert_array_equal(run(engine, x), enlarged(x))


def test_closing_twice_is_allowed_and_using_it_then_is_not(machine: Machine) -> None:
    machine.write()
    engine = open_tensorrt(MODEL)
    run(engine, pictures(1, 20, 20))
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        run(engine, pictures(1, 20, 20))
    gc.collect()
    assert machine.device.leaks() == []


def test_what_falls_between_profiles_is_refused(machine: Machine) -> None:
    sides = [ShapeRange(min=side, opt=side, max=side) for side in ((20, 20), (40, 64))]
    machine.write(tuple(sides))
    with open_tensorrt(MODEL) as engine:
        with pytest.raises(ShapeError, match="takes pictures of 20x20, 40x64, this one has 30x30"):
            run(engine, pictures(1, 30, 30))
        for side in ((40, 64), (20, 20)):
            x = pictures(1, *side)
            np.testing.assert_array_equal(run(engine, x), enlarged(x))
