"""The doctor's parts: probes in processes of their own, what is read off the system, verdicts, remedies."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from efdn.assets import FOLDER
from efdn.errors import MissingExtraError
from engines.doctor.examine import Examination, examine
from engines.doctor.look import ask, broken_assets, look_at_cache, nvidia_on_bus
from engines.doctor.privacy import private, short_path
from engines.doctor.probes import PROBES, answer, cuda_libraries
from engines.doctor.remedies import in_one_line, split_reason
from engines.doctor.summary import as_json, summarise
from engines.doctor.trials import Trial, side_for
from engines.doctor.verdicts import Outcome, expected, judged
from engines.doctor.versions import parse_requirements, within
from engines.registry import ENGINES, find_engine
from engines.select import PACKAGED
from tests.doctor_samples import BARE, FULL

GREY = np.full((64, 64, 3), 100, np.uint8)


def run_python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import os; os.abort()", "importing it ended the process"),
        ("print('hello')", "importing it ended the process (exit code 0)"),
        ("raise SystemExit(3)", "importing it ended the process (exit code 3)"),
        ("import time; time.sleep(60)", "importing it did not end within 1 s"),
    ],
)
def test_a_package_that_crashes_or_hangs_is_a_finding(code: str, failure: str) -> None:
    assert ask("torch", run_python(code), limit_s=1 if "sleep" in code else 60)["failure"].startswith(failure)


def test_what_packages_print_does_not_get_into_the_answer() -> None:
    code = "import engines.doctor.probes as p, sys; p.PROBES['x'] = lambda: print('noise') or {'version': '1'}; "
    assert ask("x", run_python(code + "sys.argv = ['', 'x']; p.main()")) == {"version": "1"}


@pytest.mark.parametrize("error", [RuntimeError("no\nluck"), ImportError("no luck"), SystemExit("no luck")])
def test_whatever_a_package_raises_is_an_answer(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def failing() -> dict[str, object]:
        raise error

    monkeypatch.setitem(PROBES, "torch", failing)
    assert answer("torch") == {"failure": f"{type(error).__name__}: no luck"}


def test_libraries_of_onnx_runtime_have_the_names_of_their_system() -> None:
    assert cuda_libraries("13.0", "linux") == (
        "libcudnn.so.9",
        "libcudart.so.13",
        "libcublas.so.13",
        "libcublasLt.so.13",
        "libcufft.so.12",
    )
    assert cuda_libraries("12.8", "win32")[:2] == ("cudnn64_9.dll", "cudart64_12.dll")
    assert cuda_libraries(None, "linux") == ("libcudnn.so.9",)


def test_gpus_are_seen_on_the_bus(tmp_path: Path) -> None:
    assert nvidia_on_bus(tmp_path / "none") is None
    for index, (vendor, kind) in enumerate([("0x8086", "0x030000"), ("0x10de", "0x040300")]):
        device = tmp_path / str(index)
        device.mkdir()
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    # An Intel GPU, and the sound of an NVIDIA one.
    assert nvidia_on_bus(tmp_path) is False
    (tmp_path / "1" / "class").write_text("0x030200\n")
    assert nvidia_on_bus(tmp_path) is True


def test_packaged_files_are_checked(tmp_path: Path) -> None:
    assert broken_assets(FOLDER) == ()
    assert broken_assets(tmp_path) == ("SHA256SUMS",)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  a.onnx\n{'0' * 64}  b.onnx\n")
    (tmp_path / "a.onnx").write_bytes(b"x")
    assert broken_assets(tmp_path) == ("a.onnx", "b.onnx")


def test_the_cache_folder_is_measured_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EFDN_CACHE", raising=False)
    (tmp_path / "tensorrt-rtx" / "1.7").mkdir(parents=True)
    (tmp_path / "tensorrt-rtx" / "1.7" / "x.bin").write_bytes(bytes(1234))
    state = look_at_cache(tmp_path)
    assert (state.exists, state.writable, state.named_by_user) == (True, True, False)
    assert state.folders == {"tensorrt-rtx": 1234}
    assert [path.name for path in tmp_path.iterdir()] == ["tensorrt-rtx"]
    later = look_at_cache(tmp_path / "to" / "come")
    assert (later.exists, later.writable) == (False, True)
    assert not (tmp_path / "to").exists()


def test_a_cache_folder_below_a_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("EFDN_CACHE", str(tmp_path / "file"))
    assert look_at_cache(tmp_path / "file").writable is False
    assert look_at_cache(tmp_path / "file").named_by_user is True


def test_requirements_are_those_of_extras_on_this_platform() -> None:
    lines = [
        "numpy>=1.26",
        "cuda_core<2,>=0.3; sys_platform != 'darwin' and extra == 'gpu'",
        'pycuda; extra == "pycuda"',
    ]
    told = [(needed.extra, needed.name, needed.versions) for needed in parse_requirements(lines, "linux")]
    assert told == [("gpu", "cuda-core", "<2,>=0.3"), ("pycuda", "pycuda", "")]
    assert [needed.name for needed in parse_requirements(lines, "darwin")] == ["pycuda"]


@pytest.mark.parametrize(
    ("version", "versions", "expected"),
    [
        ("1.23", ">=1.23,<2", True),
        ("1.22.9", "<2,>=1.23", False),
        ("2.0.0", "<2,>=1.23", False),
        ("2.13.0+cpu", "<3,>=2.4", True),
        ("10.3", ">=10.3.0", True),
        ("anything", "", True),
    ],
)
def test_ranges_of_versions(version: str, versions: str, expected: bool) -> None:
    assert within(version, versions) is expected


@pytest.mark.parametrize(
    ("message", "reason", "remedy"),
    [
        (
            str(MissingExtraError("onnxruntime", "cpu", "This engine")),
            "This engine needs onnxruntime, which is not installed",
            'add the extra cpu with pip install ".[cpu]" in efdn\'s source folder',
        ),
        ("ONNX Runtime cannot load x.onnx: [ONNXRuntimeError] : 7 : bad", None, None),
        (
            "x: y is not so: build it anew with: efdn-export trt",
            "x: y is not so",
            "build it anew with: efdn-export trt",
        ),
        ("a: additional words", None, None),
    ],
)
def test_messages_are_taken_apart_at_their_remedy(message: str, reason: str | None, remedy: str | None) -> None:
    assert split_reason(message) == (reason or message, remedy)


def test_commands_after_each_other_make_one_line() -> None:
    assert in_one_line(["pip uninstall -y x", "in the folder:", "pip install y"]) == (
        "pip uninstall -y x; then in the folder: pip install y"
    )


def test_texts_are_fit_to_be_shown() -> None:
    assert private("a\x1b[31m b\nc\u202e") == "a?[31m b c?"
    assert private("/home/jane/x and /Users/joe/y and C:\\Users\\joe\\z") == "~/x and ~/y and ~\\z"
    assert private("/homework/home/x") == "/homework/home/x"
    assert private("'/mnt/c/Users/joe/x'") == "'~/x'"
    assert short_path(Path.home() / "cache") == str(Path("~/cache"))


def test_the_root_folder_is_nobody_s_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    assert private("see /opt/x") == "see /opt/x"


@pytest.mark.parametrize(
    ("takes", "side"),
    [
        ("256x320", (256, 320)),
        ("64x8 to 512x512", (64, 16)),
        ("any shape from 13x13", (16, 16)),
        ("13x13 to 512x512", (16, 16)),
    ],
)
def test_the_picture_is_one_that_the_model_takes(takes: str, side: tuple[int, int]) -> None:
    assert side_for(takes) == side


def grey(engine: str, level: int = 100) -> Trial:
    return Trial(engine=engine, model=None, detail="1.0", result=np.full_like(GREY, level))


@pytest.mark.parametrize(("level", "outcome"), [(100, Outcome.RUNS), (99, Outcome.RUNS), (102, Outcome.WRONG)])
def test_an_engine_must_give_what_the_first_one_gave(level: int, outcome: Outcome) -> None:
    verdict = judged(FULL, grey("pytorch", level), grey("onnxruntime-cpu"))
    assert (verdict.outcome, verdict.levels) == (outcome, abs(level - 100))


def test_results_of_another_size_are_not_compared() -> None:
    small = replace(grey("pytorch"), result=GREY[:32])
    assert judged(FULL, small, grey("onnxruntime-cpu")).levels is None


def fails(engine: str, failure: str, *, crashed: bool = False) -> Trial:
    return Trial(engine=engine, model=None, failure=failure, crashed=crashed)


def test_an_engine_s_own_reason_is_kept() -> None:
    verdict = judged(FULL, fails("pytorch", "PyTorch failed: odd", crashed=True), None)
    assert (verdict.outcome, verdict.text) == (Outcome.CRASHES, "PyTorch failed: odd")
    verdict = judged(FULL, fails("onnxruntime-cuda", "ONNX Runtime fell back: check that driver fits"), None)
    assert (verdict.text, verdict.remedy) == ("ONNX Runtime fell back", "check that driver fits")


def test_without_a_gpu_no_remedy_is_offered_for_engines_that_need_one() -> None:
    verdict = judged(BARE, fails("onnxruntime-cuda", "no CUDA: pip uninstall onnxruntime"), None)
    assert verdict.remedy is None
    assert verdict.text == "needs an NVIDIA GPU with its driver, and none is usable here"


def test_tensorrt_is_ready_for_a_file_where_all_else_is_here() -> None:
    verdict = expected(FULL, find_engine("tensorrt"), tried=True)
    assert (verdict.outcome, verdict.good) == (Outcome.BUILD, False)
    assert verdict.remedy == "efdn-export trt --fp16 --gpu-arch sm89"
    assert expected(FULL, find_engine("tensorrt"), tried=False).good


def examined(**results: Trial) -> Examination:
    """An examination of this machine whose trials are made up; engines not named fail."""

    def attempt(engine: str, model: Path | None, shape: tuple[int, int] | None) -> Trial:
        trial = results.get(engine.replace("-", "_"), fails(engine, "it does not want to: try tomorrow"))
        return replace(trial, model=model, shape=shape or trial.shape)

    models = [Path("x.onnx")] if Path("x.onnx").exists() else []
    return examine(models, attempt=attempt, ask=lambda name: {"failure": "not asked"})


def test_the_preferred_engine_is_the_one_that_infer_takes() -> None:
    summary = summarise(examined(pytorch=grey("pytorch"), onnxruntime_cpu=grey("onnxruntime-cpu")))
    assert summary.running == ("onnxruntime-cpu", "pytorch")
    assert summary.preferred == "onnxruntime-cpu"
    assert summary.next[0] == "efdn-infer photo.jpg"
    assert summary.failure is None


def test_nothing_that_runs_is_a_failure_with_a_way_out() -> None:
    examination = examined()
    assert as_json(examination)["exit_code"] == 1
    assert as_json(examination)["preferred"] is None
    assert str(summarise(examination).failure).startswith("no engine can run here: ")


def test_a_file_that_does_not_run_is_a_failure_although_others_do() -> None:
    Path("x.onnx").write_bytes(b"x")
    examination = examined(pytorch=grey("pytorch"))
    assert summarise(examination).failure == "x.onnx cannot run here: the reasons stand under engines"
    assert summarise(examination).running == ("pytorch",)
    assert as_json(examination)["exit_code"] == 1


def test_every_engine_that_is_not_on_request_gets_a_verdict_in_the_order_of_choice() -> None:
    verdicts = [verdict.engine for verdict in examined().verdicts]
    assert verdicts == [entry.name for entry in ENGINES if not entry.on_request]
    assert set(PACKAGED) >= {find_engine(name).reads for name in verdicts if name != "tensorrt"}


def test_what_computes_no_network_is_not_tried_even_if_all_engines_are() -> None:
    assert not find_engine("bicubic").network
    tried = []

    def attempt(engine: str, model: Path | None, shape: tuple[int, int] | None) -> Trial:
        tried.append(engine)
        return grey(engine)

    examination = examine(everything=True, attempt=attempt, ask=lambda name: {"failure": "not asked"})
    expected_names = [entry.name for entry in ENGINES if entry.name != "bicubic"]
    assert sorted(tried) == sorted(set(expected_names) - {"tensorrt"})
    assert [verdict.engine for verdict in examination.verdicts] == expected_names
