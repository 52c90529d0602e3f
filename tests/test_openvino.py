"""OpenVINO: what it reads, what it refuses, and what it keeps to itself."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.caches import VARIABLE
from efdn.errors import EngineError, MissingExtraError, ModelFileError
from efdn.network import EFDN
from efdn.passes.pipeline import PIPELINES, deploy_network
from efdn.weights import load_network
from engines.cores import allowed_cores
from engines.openvino import OpenVinoEngine, open_openvino
from engines.openvino.order import tie_sums
from engines.openvino.runtime import _core, load_openvino, openvino_core
from engines.options import RunOptions
from engines.select import choose_engine
from export.onnx_graph import write_onnx
from export.precision import Precision
from tests.conftest import installed

CI_VARIABLES = ("CI", "TF_BUILD", "JENKINS_URL")

needs_openvino = pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")


@needs_openvino
@pytest.mark.parametrize("size", [0, 5000])
def test_a_file_cut_off_is_blamed_on_the_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(DEFAULT_ONNX.read_bytes()[:size])
    with pytest.raises(ModelFileError, match=r"cut\.onnx"):
        open_openvino(path)


@needs_openvino
def test_what_openvino_itself_cannot_read_is_left_to_other_engines() -> None:
    model = onnx.load(DEFAULT_ONNX)
    model.graph.node[5].op_type = "NoSuchOperator"
    with pytest.raises(EngineError, match=r"OpenVINO cannot load odd\.onnx: .*NoSuchOperator") as caught:
        OpenVinoEngine(model.SerializeToString(), "odd.onnx")
    assert not isinstance(caught.value, ModelFileError)


@needs_openvino
def test_an_onnx_file_of_others_is_not_guessed_at() -> None:
    model = onnx.load(DEFAULT_ONNX)
    del model.metadata_props[:]
    with pytest.raises(ModelFileError, match="scale and data range"):
        OpenVinoEngine(model.SerializeToString(), "other.onnx")


@needs_openvino
def test_an_openvino_that_refuses_a_run_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.openvino.engine.check_feeds", lambda *_: None)
    with open_openvino(DEFAULT_ONNX) as engine, pytest.raises(EngineError) as caught:
        engine.infer({"input": np.zeros((1, 4, 20, 20), np.float32)})
    assert str(caught.value).startswith("OpenVINO failed on input (1, 4, 20, 20): ")
    assert "\n" not in str(caught.value)


@needs_openvino
def test_options_are_those_in_use() -> None:
    with open_openvino(DEFAULT_ONNX, RunOptions(threads=1)) as engine:
        assert isinstance(engine, OpenVinoEngine)
        assert engine.detail.endswith(", 1 thread")
        compiled = engine._request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
        assert compiled.get_property("ENABLE_CPU_PINNING") == (allowed_cores() == 1)
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
        assert str(compiled.get_property("PERFORMANCE_HINT")).endswith("LATENCY")


def test_there_is_one_core_even_where_threads_ask_for_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Package:
        @staticmethod
        def Core() -> object:  # noqa: N802 - OpenVINO's name
            time.sleep(0.05)
            made.append(object())
            return made[-1]

    monkeypatch.setattr("engines.openvino.runtime.load_openvino", Package)
    monkeypatch.setattr("engines.openvino.runtime._core", cache(_core.__wrapped__))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: openvino_core(), range(4)))
    assert len(made) == 1
    assert all(core is made[0] for core in found)


@needs_openvino
@pytest.mark.skipif(os.name == "nt", reason="no signals to oneself")
def test_ctrl_c_is_survived_where_another_thread_closed_the_engine() -> None:
    """OpenVINO gives the thread that opens it a stack for signals, which is taken back with the last of its core."""
    script = """
import gc, signal, sys, threading
from pathlib import Path
from engines.openvino import open_openvino
engines = [open_openvino(Path(sys.argv[1]))]
def close():
    engines.pop().close()
    gc.collect()
thread = threading.Thread(target=close)
thread.start()
thread.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(DEFAULT_ONNX)], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r'pip install "\.\[openvino\]"'):
        choose_engine(None, "openvino")


def test_weights_are_not_for_openvino() -> None:
    with pytest.raises(EngineError, match="engine openvino reads ONNX files"):
        choose_engine(DEFAULT_WEIGHTS, "openvino")


@needs_openvino
@pytest.mark.skipif(not installed("openvino_telemetry"), reason="OpenVINO's reporting is not installed")
def test_opening_reports_nothing_and_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    script = """
import sys, urllib.request
def refuse(*_, **__): raise SystemExit("something was sent")
urllib.request.urlopen = refuse
if sys.argv[2] == "plain":
    import openvino
else:
    from pathlib import Path
    from engines.openvino import open_openvino
    open_openvino(Path(sys.argv[1])).close()
print("reporting" if "openvino_telemetry" in sys.modules else "silent")
"""
    said = {}
    for way in ("plain", "engine"):
        home = tmp_path / way
        home.mkdir()
        environment = {name: value for name, value in os.environ.items() if name not in CI_VARIABLES}
        environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
        if way == "plain":
            environment["CI"] = "true"  # Where there is one the reporting is loaded, but says nothing.
        result = subprocess.run(
            [sys.executable, "-c", script, str(DEFAULT_ONNX), way],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=Path(__file__).parent.parent,
        )
        said[way] = (result.stdout.split()[-1], [path.name for path in home.iterdir()])
    assert said == {"plain": ("reporting", []), "engine": ("silent", [])}


@needs_openvino
@pytest.mark.parametrize(("passes", "blocks"), [("openvino", 11), ("none", 0)])
def test_sums_are_tied_to_blocks_and_nothing_else_changes(
    passes: str, blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = load_openvino()
    network = deploy_network(load_network(DEFAULT_WEIGHTS, EFDN), PIPELINES[passes])
    metadata = {"scale": "4", "data_range": "255"}
    path = tmp_path / "m.onnx"
    path.write_bytes(write_onnx(network, precision=Precision.FP32, opset=20, metadata=metadata).SerializeToString())
    assert tie_sums(openvino, openvino.Core().read_model(path)) == blocks
    x = {"input": np.random.default_rng(0).uniform(0, 255, (1, 3, 21, 30)).astype(np.float32)}
    with open_openvino(path) as engine:
        tied = engine.infer(x)["output"]
    monkeypatch.setattr("engines.openvino.order.tie_sums", lambda openvino, graph: 0)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with open_openvino(path) as engine:
        np.testing.assert_array_equal(engine.infer(x)["output"], tied)
