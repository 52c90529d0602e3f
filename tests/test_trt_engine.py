"""TensorRT engines at run time, against a fake TensorRT on a fake GPU that forgives nothing."""

from __future__ import annotations

import dataclasses
import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from efdn.caches import cache_folder
from efdn.errors import ArtefactError, DeviceMemoryError, EngineError, MissingExtraError, ShapeError
from efdn.files import sha256_of_bytes
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar, sidecar_path, write_sidecar
from engines.options import RunOptions
from engines.protocol import Engine, StagedEngine
from engines.select import choose_engine
from engines.trt import open as opening
from engines.trt.open import open_tensorrt
from engines.trt.rebuild import rebuild_command
from engines.upscale import upscale
from tests.conftest import has_gpu, noise
from tests.fakes.machine import RANGE, VERSIONS, Machine
from tests.fakes.tensorrt import IRuntimeCache
from tests.test_sidecar import make_sidecar

MODEL = Path("model.engine")


@pytest.fixture(params=["rtx", "tensorrt"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(runtime: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    monkeypatch.setenv("EFDN_CACHE", str(tmp_path / "cache"))
    result = Machine(runtime)
    result.install(monkeypatch)
    yield result
    gc.collect()
    if not result.device.stream:
        assert result.device.leaks() == []


only_rtx = pytest.mark.parametrize("runtime", ["rtx"], indirect=True)
only_standard = pytest.mark.parametrize("runtime", ["tensorrt"], indirect=True)


def pictures(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.stack([noise(height, width, seed + index) for index in range(count)])


def enlarged(x: np.ndarray) -> np.ndarray:
    return x.repeat(4, axis=1).repeat(4, axis=2)


def run(engine: Engine, x: np.ndarray) -> np.ndarray:
    return engine.infer({"input": x})["output"]


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


# CUDA graphs


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


def cache_files() -> list[Path]:
    return sorted(path for path in cache_folder().rglob("*") if path.is_file())


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


# What is wrong with an engine is said before TensorRT is asked


def test_another_version_names_both_and_the_rebuild_command(machine: Machine) -> None:
    machine.write(version="9.6.2.1" if machine.runtime == "rtx" else "9.6.2")
    said = rf"was built by tensorrt\w* 9\.6\.2.*here is {VERSIONS[machine.runtime]}: build it anew with: efdn-export "
    with pytest.raises(EngineError, match=said + f"trt --runtime {machine.runtime} --fp16 --io uint8 --min 13x13"):
        open_tensorrt(MODEL)
    assert machine.device.leaks() == ["the stream"]


def test_another_gpu_names_both(machine: Machine) -> None:
    machine.write(targets=("sm89",))
    with pytest.raises(EngineError, match=r"built for sm89, here is Fake RTX \(sm86\): build it anew"):
        open_tensorrt(MODEL)
    assert machine.device.leaks() == []


def test_a_file_that_was_cut_off_or_replaced_is_noticed(machine: Machine) -> None:
    machine.write()
    content = MODEL.read_bytes()
    for damaged in (content[:-1], content[:30], b"", b"a photo, say", content + b"more"):
        MODEL.write_bytes(damaged)
        with pytest.raises(ArtefactError, match="SHA-256 differs"):
            open_tensorrt(MODEL)


def test_a_file_that_is_cut_off_with_a_sidecar_that_says_so_is_noticed_by_its_header(machine: Machine) -> None:
    sidecar = machine.write()
    for size in (20, 300) if machine.runtime == "rtx" else (20,):
        content = MODEL.read_bytes()[:size]
        write_sidecar(sidecar_path(MODEL), dataclasses.replace(sidecar, sha256=sha256_of_bytes(content)))
        with pytest.raises(ArtefactError, match=r"model\.engine is cut off.*build it anew"):
            opening.open_built(content, sidecar, str(MODEL))


def test_a_sidecar_of_another_flavour_is_contradicted_by_the_header(machine: Machine) -> None:
    sidecar = machine.write()
    assert sidecar.build is not None
    other = "tensorrt" if machine.runtime == "rtx" else "rtx"
    wrong = dataclasses.replace(sidecar, build=dataclasses.replace(sidecar.build, runtime=other))
    write_sidecar(sidecar_path(MODEL), wrong)
    with pytest.raises(ArtefactError, match=r"is not its own: it says .*, the header"):
        open_tensorrt(MODEL)


def test_an_open_engine_does_not_mind_its_file_being_replaced(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        MODEL.write_bytes(b"another engine")
        x = pictures(1, 20, 20)
        np.testing.assert_array_equal(run(engine, x), enlarged(x))


def test_too_little_memory_says_how_much_is_needed(machine: Machine) -> None:
    machine.write()
    machine.behaviour.activation_bytes = 2_850_000_000
    machine.device.taken_bytes = machine.device.total_bytes - 1_200_000_000
    said = r"needs 2,850 MB of GPU memory for pictures of 13x13 to 64x80, 1,200 MB of 8,590 MB are free: close .*--max"
    with pytest.raises(DeviceMemoryError, match=said) as caught:
        open_tensorrt(MODEL)
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (2_850_000_000, 1_200_000_000)
    assert machine.device.leaks() == []


def test_running_out_of_memory_later_leaves_the_engine_usable(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        small = pictures(1, 20, 20)
        run(engine, small)
        machine.device.taken_bytes = machine.device.total_bytes - machine.device.allocated_bytes - 20_000
        with pytest.raises(DeviceMemoryError, match="out of GPU memory"):
            run(engine, pictures(1, 64, 80))
        machine.device.taken_bytes = 0
        np.testing.assert_array_equal(run(engine, small), enlarged(small))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("deserializes", r"could not deserialise model\.engine \(the magic tag does not match\): build it anew"),
        ("makes_contexts", r"could not create a context for model\.engine \(out of something\)"),
    ],
)
def test_what_tensorrt_refuses_is_said_in_its_own_words(machine: Machine, fault: str, said: str) -> None:
    machine.write()
    setattr(machine.behaviour, fault, False)
    with pytest.raises(EngineError, match=said):
        open_tensorrt(MODEL)
    assert machine.device.leaks() == []


def test_a_run_that_fails_is_an_error_and_the_next_one_works(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        x = pictures(1, 20, 20)
        machine.behaviour.runs = False
        with pytest.raises(EngineError, match=r"failed to run model\.engine \(a kernel failed\)"):
            run(engine, x)
        machine.behaviour.runs = True
        np.testing.assert_array_equal(run(engine, x), enlarged(x))


def test_a_kernel_that_dies_on_the_gpu_is_an_error(machine: Machine) -> None:
    machine.write()
    with open_tensorrt(MODEL) as engine:
        machine.device.failure = "cudaStreamSynchronize failed with CUDA error 700, cudaErrorIllegalAddress"
        with pytest.raises(EngineError, match="error 700"):
            run(engine, pictures(1, 20, 20))


def test_output_that_is_not_finite_is_an_error(machine: Machine) -> None:
    machine.write(picture=False)
    machine.behaviour.corrupt = lambda y: y * np.float32(np.nan)
    with open_tensorrt(MODEL) as engine, pytest.raises(EngineError, match="not finite"):
        upscale(engine, noise(20, 20))


def test_a_blank_picture_from_one_that_is_not_is_an_error(machine: Machine) -> None:
    machine.write()
    machine.behaviour.corrupt = np.zeros_like
    with open_tensorrt(MODEL) as engine:
        with pytest.raises(EngineError, match="one flat colour"):
            upscale(engine, noise(20, 20))
        flat = np.full((20, 20, 3), 7, np.uint8)
        assert not upscale(engine, flat).any()


def test_the_sidecar_comes_first(machine: Machine) -> None:
    machine.write()
    sidecar_path(MODEL).unlink()
    with pytest.raises(ArtefactError, match=r"no model\.engine\.json"):
        open_tensorrt(MODEL)
    write_sidecar(sidecar_path(MODEL), make_sidecar(build=None))
    with pytest.raises(ArtefactError, match="does not describe a TensorRT engine"):
        open_tensorrt(MODEL)


def test_a_missing_tensorrt_names_the_extra(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    module, extra = {"rtx": ("tensorrt_rtx", "rtx"), "tensorrt": ("tensorrt", "gpu")}[machine.runtime]
    monkeypatch.setitem(sys.modules, module, None)
    machine.write()
    with pytest.raises(MissingExtraError, match=rf"needs {module}.*\.\[{extra}\]"):
        open_tensorrt(MODEL)


@pytest.mark.tensorrt
@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_without_a_gpu_the_real_module_is_not_asked_to_deserialise() -> None:
    import tensorrt_rtx

    Machine("rtx").write(version=tensorrt_rtx.__version__)
    with pytest.raises(EngineError, match=r"no usable NVIDIA GPU.*take an ONNX file"):
        open_tensorrt(MODEL)


def test_the_rebuild_command_says_all_that_is_not_the_default() -> None:
    static = tuple(ShapeRange(min=side, opt=side, max=side) for side in ((64, 48), (20, 30)))

    def command(gpu: str | None = None, **changes: Any) -> str:
        return rebuild_command(make_sidecar(**changes), gpu=gpu)

    assert "--shape 64x48 --gpu-arch sm89" in command("sm89", shapes=static[:1])
    assert "--shape 64x48 --shape 20x30 --batch 4 --weights" in command(shapes=static, batch=4)
    assert command().endswith("--weights w.safetensors --keep-fp32 'tail'")
    assert "--batch" not in command()


def test_an_engine_written_by_the_fake_reads_back() -> None:
    written = Machine("rtx").write()
    assert read_sidecar(MODEL) == written
