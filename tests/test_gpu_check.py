"""The GPU check where there is no GPU: how it judges, what it leaves out, and that all of it can be gone through."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_check import run
from benchmarks.gpu_check.__main__ import main
from benchmarks.gpu_check.builds import Build, build_engines
from benchmarks.gpu_check.exactness import Exactness
from benchmarks.gpu_check.files import SHAPES, GraphFile, graphs
from benchmarks.gpu_check.interpreters import Interpreter, look_at
from benchmarks.gpu_check.record import table, thinned, without_paths
from benchmarks.gpu_check.subjects import subjects
from benchmarks.gpu_check.targets import Verdict, bound_ms, judge
from efdn.errors import UsageError
from efdn.files import sha256_of_file
from efdn.sidecar import sidecar_path, write_sidecar
from engines.profiling.comparison import Difference
from engines.profiling.result import Lane, ShapeProfile
from engines.worker.subject import Opened, Sample, Subject
from tests.conftest import has_gpu
from tests.test_sidecar import make_sidecar

PICTURES = GraphFile(shape=(339, 510), io="uint8")


def python(**changes: Any) -> Interpreter:
    values: dict[str, Any] = {"command": Path("python"), "version": "3.12.3", "packages": {}, "broken": {}}
    return Interpreter(**{**values, "torch_cuda": False, "providers": (), **changes})


def lane(name: str, compute: float, *, end_to_end: float | None = None, levels: int = 1) -> Lane:
    sample = Sample(end_to_end=end_to_end or compute, infer=compute, compute=compute, h2d=0.1, d2h=0.2, enqueue=0.05)
    difference = Difference(grey_levels=levels, differing_share=0.01, psnr_db=60.0)
    return Lane(name=name, subject=Subject(), rounds=((sample,) * 3,) * 2, difference=difference)


def profile(*lanes: Lane, shape: tuple[int, int] = (339, 510)) -> ShapeProfile:
    return ShapeProfile(shape=shape, batch=1, lanes=lanes, reference=lanes[0].name)


BASELINE = lane("pytorch-published", 40.0)


def verdict(found: tuple[Verdict, ...], words: str) -> Verdict:
    (one,) = [entry for entry in found if words in entry.target]
    return one


@pytest.mark.parametrize(("ms", "met"), [(5.0, True), (5.1, False)])
def test_eight_times_as_fast_is_asked_for(ms: float, met: bool) -> None:
    found = judge([profile(BASELINE, lane("tensorrt rtx uint8", ms))], [], "NVIDIA GeForce RTX 3090")
    assert verdict(found, "8x").met is met
    assert f"{40 / ms:.2f}x" in verdict(found, "8x").measured


def test_the_bound_is_that_of_the_bytes_at_the_peak_of_the_gpu() -> None:
    # The arithmetic of 40.8 kB a pixel at 936 GB/s.
    shape = profile(BASELINE, lane("tensorrt rtx uint8", 15.0))
    assert bound_ms(shape, "NVIDIA GeForce RTX 3090") == pytest.approx(7.54, abs=0.01)
    assert verdict(judge([shape], [], "NVIDIA GeForce RTX 3090"), "bound").met is True
    assert verdict(judge([shape], [], "NVIDIA H200"), "bound").met is False
    assert verdict(judge([shape], [], "NVIDIA GeForce RTX 3090 Ti"), "bound").met is None
    assert verdict(judge([shape], [], "some GPU"), "bound").met is None


@pytest.mark.parametrize(("psnr", "finite", "met"), [(66.0, True, True), (64.0, True, False), (None, False, False)])
def test_floats_are_held_to_65_db(psnr: float | None, finite: bool, met: bool) -> None:
    exactness = [
        Exactness(name="pytorch-published"),
        Exactness(name="tensorrt tensorrt float32", psnr_db=psnr, max_error=0.01, finite=finite),
    ]
    assert verdict(judge([], exactness, None), "65 dB").met is met


@pytest.mark.parametrize(("levels", "end_to_end", "met"), [(1, 23.9, True), (2, 24.1, False)])
def test_levels_and_overhead_are_judged_at_a_frame(levels: int, end_to_end: float, met: bool) -> None:
    engine = lane("tensorrt tensorrt uint8", 20.0, end_to_end=end_to_end, levels=levels)
    found = judge([profile(BASELINE, engine, shape=(720, 1280))], [], None)
    assert verdict(found, "1 level").met is met
    assert verdict(found, "20%").met is met


def test_nothing_is_met_that_was_not_measured() -> None:
    failed = Lane(name="tensorrt rtx uint8", subject=Subject(), error="no usable NVIDIA GPU here")
    for profiles in ([], [profile(BASELINE, failed)]):
        found = judge(profiles, [], "NVIDIA GeForce RTX 4090")
        assert {entry.met for entry in found} == {None}
        assert all(entry.measured.startswith("not measured: ") for entry in found)


def test_no_speed_up_is_claimed_over_another_baseline() -> None:
    found = judge([profile(lane("pytorch", 40.0), lane("tensorrt rtx uint8", 1.0))], [], None)
    assert verdict(found, "8x").met is None


def test_the_table_shows_failures_and_what_is_absent() -> None:
    failed = Lane(name="onnxruntime-cuda", subject=Subject(), error="CUDA is missing\nmore")
    shape = profile(BASELINE, lane("tensorrt rtx uint8", 5.0), failed)
    text = table("A GPU", [shape], judge([shape], [], None), ["TensorRT: none", "TensorRT: none"], None)
    assert "| tensorrt rtx uint8 | 5.000 ms | 5.000 | 5.000 | 0.100 | 0.200 | 0.050 | 8.00x | 1 |" in text
    assert "| onnxruntime-cuda | did not run: CUDA is missing | | | | | | | |" in text
    assert text.count("- TensorRT: none") == 1
    assert "| open |" in text


def test_raw_times_are_thinned_evenly_and_say_so() -> None:
    content = {"engines": [{"rounds_ms": {"compute": [[float(n) for n in range(500)]] * 2, "h2d": [[], []]}}]}
    (engine,) = thinned(content)["engines"]
    assert engine["raw_every"] == 5
    assert engine["rounds_ms"]["compute"] == [[float(n) for n in range(0, 500, 5)]] * 2


@pytest.fixture(scope="module")
def here() -> Interpreter:
    """This Python, looked at once: it imports all packages that the check knows."""
    (found,) = look_at([Path(sys.executable)])
    return found


def test_pythons_are_looked_at_and_a_wrong_one_is_said(here: Interpreter) -> None:
    assert here.has("numpy", "torch", "onnxruntime")
    assert not here.has("numpy", "no_such_package")
    assert "command" not in here.as_json()
    with pytest.raises(UsageError, match="--python no-such-python does not run"):
        look_at([Path("no-such-python")])


def test_each_engine_runs_in_the_python_that_has_it() -> None:
    torch = python(command=Path("one"), packages={"torch": "2.11.0"}, torch_cuda=True)
    trt = python(command=Path("two"), packages={"tensorrt": "8.6.0", "cuda.bindings.runtime": "13"})
    engine = Build(graph=PICTURES, runtime="tensorrt", python=trt, engine=Path("e.engine"))
    missing = Build(graph=GraphFile(shape=(339, 510), io="float32"), runtime="tensorrt", python=trt, engine=None)
    planned, absent = subjects([torch, trt], [engine, missing], (339, 510), memory_bytes=None, rehearsal=False)
    where = {entry.name: str(entry.python) for entry in planned}
    assert where["pytorch-published"] == "one"
    name = "tensorrt tensorrt 8.6.0 uint8"
    assert where[name] == where[f"{name}, no graph"] == "two"
    # Engines first: PyTorch takes what memory there is.
    assert [entry.subject.options.cuda_graph for entry in planned[:2]] == [True, False]
    assert [entry.name for entry in planned if entry.baseline] == ["pytorch-published"]
    assert "pytorch-compiled" in where
    assert any("ONNX Runtime with CUDA" in reason for reason in absent)
    assert any("float32" in reason for reason in absent)


@pytest.mark.parametrize(("memory", "names"), [(24 << 30, 1), (80 << 30, 4)])
def test_a_small_gpu_is_not_filled_at_a_frame(memory: int, names: int) -> None:
    torch = python(packages={"torch": "2.11.0"}, torch_cuda=True, providers=("CUDAExecutionProvider",))
    planned, absent = subjects([torch], [], (720, 1280), memory_bytes=memory, rehearsal=False)
    assert len([entry for entry in planned if entry.name.startswith("pytorch")]) == names
    assert any("memory" in reason for reason in absent) == (names == 1)


def test_results_hold_nobodys_paths() -> None:
    content = {
        "model": "/home/alice/secret/e.engine",
        "deep": [{"error": f"cannot read {Path.home()}/x.so"}, f"{tempfile.gettempdir()}/pytest-of-alice/pytest-0"],
        "number": 1.5,
    }
    clean = without_paths(content)
    assert clean["model"] == "e.engine"
    assert clean["number"] == 1.5
    assert "alice" not in json.dumps(clean)
    assert str(Path.home()) not in json.dumps(clean)


def test_an_engine_is_built_anew_for_another_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graphs()[0]
    (tmp_path / graph.name).write_bytes(b"a graph")
    engine = tmp_path / f"{Path(graph.name).stem}_tensorrt_8.6.0_sm90.engine"
    engine.write_bytes(b"an engine")
    trt = python(packages={"tensorrt": "8.6.0", "cuda.bindings.runtime": "13"})
    for digest, error in ((sha256_of_file(tmp_path / graph.name), None), ("0" * 64, "no time was left")):
        write_sidecar(sidecar_path(engine), make_sidecar(graph_sha256=digest))
        (build,) = build_engines([trt], [graph], tmp_path, "sm90", time.monotonic())
        assert build.error == error


def test_no_psnr_is_claimed_without_the_baseline() -> None:
    alone = Exactness(name="tensorrt rtx 1.7 float32", max_error=0.0)
    for others in ([], [Exactness(name="pytorch-published", error="out of memory")]):
        assert verdict(judge([], [*others, alone], None), "65 dB").met is None


def test_an_engine_that_could_not_record_does_not_stand_for_those_that_do() -> None:
    detail = "tensorrt 10.9.0, Fake RTX, no CUDA graph"
    opened = Opened(
        engine="tensorrt",
        detail=detail,
        model="e.engine",
        scale=4,
        io="uint8",
        shapes=("339x510",),
        largest_batch=1,
        staged=True,
        passed_over=(),
        open_ms=1.0,
    )
    unable = dataclasses.replace(lane("tensorrt tensorrt uint8", 1.0), opened=opened)
    assert verdict(judge([profile(BASELINE, unable)], [], None), "8x").met is None


def test_what_matters_most_is_built_first_and_time_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert graphs()[0].shape == (339, 510)
    assert {graph.shape for graph in graphs()} == set(SHAPES)
    trt = python(packages={"tensorrt": "8.6.0", "cuda.bindings.runtime": "13"})
    without_bindings = python(packages={"tensorrt": "8.6.0"})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("no time is left"))
    found = build_engines([trt, without_bindings], graphs(), tmp_path, "sm90", time.monotonic())
    assert [build.error for build in found] == ["no time was left"] * 4


def test_without_a_gpu_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if has_gpu():
        pytest.skip("there is a GPU")
    assert main(["--results", str(tmp_path / "results")]) == 1
    assert "no NVIDIA GPU here" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_results_that_are_there_are_not_replaced_by_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Interpreter
) -> None:
    monkeypatch.setattr(run, "look_at", lambda commands: (here,))
    kept = tmp_path / "gpu_rehearsal.json"
    kept.write_text("earlier results", encoding="utf-8")
    monkeypatch.setattr(run, "query_gpus", lambda: ())
    monkeypatch.setattr(run, "measure_exactness", lambda *_: ())
    failed = Lane(name="tensorrt rtx uint8", subject=Subject(), error="no usable NVIDIA GPU here")
    monkeypatch.setattr(run, "measure_shape", lambda *_, **__: profile(failed))
    for name in ("CUDA_DEVICE_ORDER", "EFDN_CACHE"):
        monkeypatch.setenv(name, "as it was")
    assert main(["--rehearse", "--results", str(tmp_path)]) == 1
    assert "nothing was measured" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert kept.read_text(encoding="utf-8") == "earlier results"


@pytest.mark.slow
def test_a_rehearsal_goes_through_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "query_gpus", lambda: ())
    for name in ("CUDA_DEVICE_ORDER", "EFDN_CACHE"):
        monkeypatch.setenv(name, "as it was")  # So that it is put back, too.
    assert main(["--rehearse", "--seconds", "0.05", "--results", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "gpu_rehearsal.json").read_text(encoding="utf-8"))
    assert content["rehearsal"] is True
    names = [engine["name"] for engine in content["profiles"][0]["engines"]]
    assert names == ["onnxruntime-cpu", "pytorch-published", "pytorch"]
    assert content["profiles"][0]["reference"] == "pytorch-published"
    exactness = {entry["name"]: entry for entry in content["exactness"]}
    # ONNX Runtime's graph is another one, in FP32 too: 1e-5 of the range is 100 dB.
    assert exactness["onnxruntime-cpu"]["psnr_db"] > 100
    assert {entry["met"] for entry in content["targets"]} == {None}
    assert "# Rehearsal without a GPU" in (tmp_path / "gpu_rehearsal.md").read_text(encoding="utf-8")
