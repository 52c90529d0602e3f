"""Engines in processes of their own: what they answer, and what becomes of those that die, hang or talk too much."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EngineError, WorkerError
from engines.options import RunOptions
from engines.ort import open_cpu
from engines.whole import upscale
from engines.worker.client import Worker
from engines.worker.picture import sample_pictures
from engines.worker.subject import Job, Subject

ONE_THREAD = RunOptions(threads=1)
CPU = Subject(engine="onnxruntime-cpu", options=ONE_THREAD)
TINY = Job(shape=(16, 20))


@pytest.fixture(scope="module")
def cpu() -> Iterator[Worker]:
    """A worker with ONNX Runtime; tests leave it open."""
    with Worker() as worker:
        worker.open(CPU)
        yield worker


def pretend(tmp_path: Path, script: str) -> Path:
    """An interpreter that runs a script whatever it is asked to run."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport sys, time, os\n{textwrap.dedent(script)}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


posix = pytest.mark.skipif(os.name == "nt", reason="scripts are not programs, and signals no ends, on Windows")


def test_a_subject_survives_the_pipe() -> None:
    options = RunOptions(cuda_graph=False, cache_dir=Path("c"), threads=1, cuda_provider="pycuda")
    for subject in (Subject(), Subject(engine="tensorrt", model=Path("a.engine"), options=options)):
        assert Subject.from_json(subject.as_json()) == subject


def test_what_is_opened_says_what_it_is() -> None:
    with Worker() as worker:
        opened = worker.open(CPU)
    assert (opened.engine, opened.model, opened.scale, opened.io) == (
        "onnxruntime-cpu",
        DEFAULT_ONNX.name,
        4,
        "float32",
    )
    assert (opened.staged, opened.passed_over, opened.largest_batch) == (False, (), None)
    assert opened.open_ms > 0


def test_samples_are_consistent(cpu: Worker) -> None:
    first = cpu.prepare(TINY)
    samples = cpu.run(seconds=0, at_least=3)
    assert len(samples) == 3
    for sample in (first, *samples):
        assert 0 < sample.infer <= sample.end_to_end
        assert sample.compute == sample.infer
        assert (sample.h2d, sample.d2h, sample.enqueue) == (None, None, None)
    assert len(cpu.run(seconds=100, at_most=2)) == 2


def test_the_output_is_what_the_engine_gives_here(cpu: Worker, tmp_path: Path) -> None:
    cpu.prepare(Job(shape=(16, 20), batch=2))
    cpu.write_output(tmp_path / "out.npy")
    result = np.load(tmp_path / "out.npy")
    assert result.shape == (2, 64, 80, 3)
    with open_cpu(DEFAULT_ONNX, ONE_THREAD) as engine:
        for picture, expected in zip(result, sample_pictures((16, 20), 2), strict=True):
            np.testing.assert_array_equal(picture, upscale(engine, expected))


def test_memory_grows_from_before_to_peak(cpu: Worker) -> None:
    cpu.prepare(TINY)
    memory = cpu.memory()
    assert (memory.device_used, memory.device_total) == (None, None)
    if sys.platform != "linux":
        assert (memory.host_before, memory.host_peak) == (None, None)
    else:
        assert memory.host_before is not None
        assert memory.host_peak is not None
        # NumPy alone takes 20 MB, the network at this size some.
        assert 20e6 < memory.host_before < memory.host_peak < 1e9


def test_an_engine_that_cannot_be_opened_says_why_and_the_worker_lives_on() -> None:
    with Worker() as worker:
        with pytest.raises(EngineError, match="reads ONNX files"):
            worker.open(Subject(engine="onnxruntime-cpu", model=DEFAULT_WEIGHTS))
        with pytest.raises(EngineError, match="no engine is open"):
            worker.prepare(TINY)
        worker.open(CPU)
        with pytest.raises(EngineError, match="nothing is prepared"):
            worker.run(seconds=0)
        with pytest.raises(EngineError, match="takes pictures of"):
            worker.prepare(Job(shape=(5, 5)))
        assert worker.prepare(TINY).end_to_end > 0


def test_modules_in_the_working_folder_are_not_taken_for_ours(tmp_path: Path) -> None:
    for name in ("json.py", "numpy.py", "engines.py"):
        (tmp_path / name).write_text("raise SystemExit('wrong module')")
    with Worker() as worker:
        assert worker.open(CPU).engine == "onnxruntime-cpu"


def test_what_a_start_up_file_prints_is_no_answer(tmp_path: Path) -> None:
    script = "print('hello\\n[1]\\nand', end='', flush=True); open('seen', 'w').close()"
    (tmp_path / "sitecustomize.py").write_text(script)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    with Worker(environment={"PYTHONPATH": path}) as worker:
        assert worker.open(CPU).engine == "onnxruntime-cpu"
    assert Path("seen").exists()


@posix
def test_a_process_that_is_killed_is_told_with_its_signal() -> None:
    with Worker() as worker:
        worker.open(CPU)
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"was ended by SIGKILL, as the system does where memory runs out"):
            worker.prepare(TINY)
        with pytest.raises(WorkerError, match="SIGKILL"):
            worker.memory()


@posix
def test_a_process_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    python = pretend(tmp_path, "sys.stdin.readline(); print('trace'); sys.exit('library is missing')")
    with Worker(python) as worker, pytest.raises(WorkerError, match="ended with code 1: library is missing"):
        worker.open(CPU)


@posix
def test_a_process_that_says_nothing_is_ended_in_time(tmp_path: Path) -> None:
    python = pretend(tmp_path, "time.sleep(1000)")
    with Worker(python) as worker:
        with pytest.raises(WorkerError, match="did not answer within 0 s, and was ended"):
            worker.ask("memory", limit_s=0.2)
        assert worker._process.poll() == -signal.SIGKILL


@posix
def test_babble_does_not_put_off_the_limit(tmp_path: Path) -> None:
    python = pretend(tmp_path, "while True: print('babble', flush=True); time.sleep(0.01)")
    with Worker(python) as worker, pytest.raises(WorkerError, match="did not answer"):
        worker.ask("memory", limit_s=0.3)


@posix
def test_a_child_that_holds_the_pipes_does_not_hold_us(tmp_path: Path) -> None:
    python = pretend(
        tmp_path,
        """
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
        print('{"child": %d}' % child.pid, flush=True)
        sys.stdin.read()
        """,
    )
    with Worker(python) as worker:
        child = worker.ask("anything")["child"]
    assert worker._process.returncode == 0
    os.kill(child, signal.SIGKILL)
    for reader in worker._readers:
        reader.join(timeout=10)
    worker.close()


def test_an_interpreter_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="does not start: "):
        Worker(tmp_path / "none")


@posix
def test_leaving_on_an_error_ends_the_process_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Worker() as worker:  # noqa: PT012
        worker.open(CPU)
        raise KeyboardInterrupt
    assert worker._process.returncode == -signal.SIGKILL


def test_the_worker_ends_when_nobody_asks_any_more() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines.worker"],
        input='{"command": "dance"}\n',
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert '"error": "no worker command \'dance\'' in done.stdout


@pytest.mark.parametrize("shape", [(16, 20), (300, 13)])
def test_pictures_are_the_photo_cropped_or_mirrored_out(shape: tuple[int, int]) -> None:
    one, two = sample_pictures(shape, 2)
    assert one.shape == (*shape, 3)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(np.roll(one, 7, axis=1), two)
    # A photo, not a flat field.
    assert one.std() > 5
