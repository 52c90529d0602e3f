"""Failed runs: which of them smaller tiles may mend."""

from collections.abc import Mapping

import numpy as np
import pytest

from efdn.errors import EngineError, OutOfMemoryError
from engines.failures import run_error
from engines.protocol import Arrays
from engines.tiling.options import TileOptions
from engines.tiling.upscaling import upscaled_rows
from tests.conftest import noise
from tests.fake_engine import NearestNeighbour


@pytest.mark.parametrize(
    "said",
    [
        "bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 884736000",
        "CUDA out of memory. Tried to allocate 20.00 GiB",
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate",
        "std::bad_alloc",
    ],
)
def test_want_of_memory_is_told_apart(said: str) -> None:
    error = run_error("ONNX Runtime failed", said)
    assert isinstance(error, OutOfMemoryError)
    assert str(error) == "ONNX Runtime failed"


def test_other_failures_are_not_taken_for_it() -> None:
    assert not isinstance(run_error("ONNX Runtime failed", "non-zero status code while running Conv"), OutOfMemoryError)


class Small(NearestNeighbour):
    """Has memory for small tiles only, and says so as ONNX Runtime does."""

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        if feeds["x"].shape[2] > 150:
            raise run_error("ONNX Runtime failed", "Failed to allocate memory")
        return super().infer(feeds)


def test_smaller_tiles_are_tried() -> None:
    pixels = noise(300, 20)
    result = np.concatenate(list(upscaled_rows(Small(), pixels)))
    np.testing.assert_array_equal(result, pixels.repeat(4, axis=0).repeat(4, axis=1))


def test_tiles_asked_for_are_kept() -> None:
    with pytest.raises(EngineError, match="ONNX Runtime failed"):
        next(upscaled_rows(Small(), noise(300, 20), TileOptions(side=200)))
