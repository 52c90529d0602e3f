"""Engines that run all day take no more memory in the evening than in the morning."""

import gc
from collections.abc import Callable

import numpy as np
import pytest

from efdn.assets import DEFAULT_ONNX
from engines.options import RunOptions
from engines.ort import open_cpu
from engines.worker.memory import resident_bytes

CALLS, WARM_UP = 10_000, 500
ALLOWED_BYTES = 5_000_000


def growth(call: Callable[[], object], calls: int) -> int:
    """Bytes by which the process has grown after so many calls, the first ones aside."""
    for _ in range(WARM_UP):
        call()
    gc.collect()
    before = resident_bytes()
    for _ in range(calls):
        call()
    gc.collect()
    after = resident_bytes()
    if before is None or after is None:
        pytest.skip("this system does not tell how much memory a process takes")
    return after - before


def test_the_measure_sees_small_arrays_that_are_kept() -> None:
    kept: list[np.ndarray] = []
    # As large as a picture of 13x13.
    assert growth(lambda: kept.append(np.ones((1, 3, 13, 13), np.float32)), CALLS) > 2 * ALLOWED_BYTES


@pytest.mark.slow
def test_ten_thousand_calls_of_onnx_runtime_leak_nothing() -> None:
    x = np.random.default_rng(0).uniform(0, 255, (1, 3, 13, 13)).astype(np.float32)
    with open_cpu(DEFAULT_ONNX, RunOptions(threads=1)) as engine:
        assert growth(lambda: engine.infer({"input": x}), CALLS) < ALLOWED_BYTES
