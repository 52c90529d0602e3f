"""Engines that run all day take no more memory in the evening than in the morning."""

import subprocess
import sys
from pathlib import Path

import pytest

from efdn.passes.pipeline import deploy_network
from engines.worker.memory import resident_bytes
from export.onnx_graph import write_onnx
from export.precision import Precision
from tests.conftest import make_network

ROOT = Path(__file__).parent.parent
CALLS, WARM_UP = 10_000, 500
ALLOWED_BYTES = 5_000_000

# In a process of its own: what other tests have freed here would be filled first, and a leak of megabytes not be seen.
SCRIPT = """
import gc, sys
from pathlib import Path
import numpy as np
from engines.options import RunOptions
from engines.ort import open_cpu
from engines.worker.memory import resident_bytes

way, model, calls, warm_up = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
x = np.random.default_rng(0).uniform(0, 255, (1, 3, 13, 13)).astype(np.float32)
kept = []
with open_cpu(model, RunOptions(threads=1)) as engine:
    def call():
        result = engine.infer({"input": x})["output"]
        if way == "keep":
            kept.append(result[:, :, :13, :13].copy())
    def resident_after(count):
        for _ in range(count):
            call()
        gc.collect()
        return resident_bytes()
    print(-resident_after(warm_up) + resident_after(calls))
"""

pytestmark = pytest.mark.skipif(
    resident_bytes() is None, reason="this system does not tell how much memory a process takes"
)


@pytest.fixture
def model() -> Path:
    """A small network: what an engine leaks does not depend on its size, how long 10,000 calls take does."""
    metadata = {"scale": "4", "data_range": "255"}
    graph = write_onnx(deploy_network(make_network()), precision=Precision.FP32, opset=20, metadata=metadata)
    path = Path("small.onnx")
    path.write_bytes(graph.SerializeToString())
    return path.absolute()


def growth(way: str, model: Path, calls: int) -> int:
    """Bytes by which a process has grown after so many calls, the first ones aside."""
    command = [sys.executable, "-c", SCRIPT, way, str(model), str(calls), str(WARM_UP)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


@pytest.mark.slow
def test_ten_thousand_calls_of_onnx_runtime_leak_nothing(model: Path) -> None:
    assert growth("run", model, CALLS) < ALLOWED_BYTES


@pytest.mark.slow
def test_a_leak_of_one_small_picture_a_call_would_be_seen(model: Path) -> None:
    assert growth("keep", model, CALLS) > 2 * ALLOWED_BYTES
