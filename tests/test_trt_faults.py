"""TensorRT engines that do not fit, break or run out of memory: what is said, and that nothing is left behind."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest

from efdn.errors import ArtefactError, DeviceMemoryError, EngineError, MissingExtraError
from efdn.files import sha256_of_bytes
from efdn.shapes import ShapeRange
from efdn.sidecar import read_sidecar, sidecar_path, write_sidecar
from engines.trt import open as opening
from engines.trt.open import open_tensorrt
from engines.trt.rebuild import rebuild_command
from engines.whole import upscale
from tests.conftest import has_gpu, noise
from tests.fakes.machine import VERSIONS, Machine
from tests.test_sidecar import make_sidecar
from tests.trt_machine import MODEL, enlarged, machine, pictures, run, runtime

# Fixtures are taken by name.
__all__ = ["machine", "runtime"]


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
