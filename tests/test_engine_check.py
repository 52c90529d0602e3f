"""An engine that has just been built is compared with PyTorch where it can run, at a seam with a fake engine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from efdn.errors import EngineError, ParityError
from efdn.sidecar import Sidecar
from engines.ort import CPU, OnnxRuntimeEngine
from engines.protocol import Arrays, Engine
from export.artefacts import shape_range
from export.engine_check import engine_parity, why_not_here
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.precision import Precision
from export.verified_graph import VerifiedGraph, verified_graph
from tests.conftest import has_gpu, make_network
from tests.test_sidecar import make_sidecar


@pytest.fixture(params=IOFormat)
def graph(request: pytest.FixtureRequest) -> VerifiedGraph:
    weights = Path("w.safetensors")
    weights.write_bytes(b"")
    return verified_graph(make_network(), weights, OnnxOptions(io=request.param))


def sidecar(*sides: tuple[int, int]) -> Sidecar:
    return make_sidecar(shapes=tuple(shape_range(side) for side in sides))


def test_every_shape_is_compared(graph: VerifiedGraph) -> None:
    def opened(content: bytes, described: Sidecar, name: str) -> Engine:
        assert (content, name) == (b"engine", described.file)
        return OnnxRuntimeEngine("fake", graph.content, name, (CPU,))

    single = engine_parity(b"engine", sidecar((16, 20)), graph, opened)
    assert isinstance(single, dict)
    assert list(single) == ["engine"]
    several = engine_parity(b"engine", sidecar((16, 20), (24, 16), (4000, 4000)), graph, opened)
    assert isinstance(several, dict)
    assert list(several) == ["engine 16x20", "engine 24x16"]
    assert all(parity.grey_levels <= 1 for parity in (*single.values(), *several.values()))


def test_what_pytorch_cannot_follow_is_said(graph: VerifiedGraph) -> None:
    assert engine_parity(b"engine", sidecar((4000, 4000)), graph) == "its shapes are too large to compare with PyTorch"


class WrongEngine(OnnxRuntimeEngine):
    """Off by three grey levels."""

    def infer(self, feeds: Any) -> Arrays:
        return {name: np.clip(y, 0, 252) + y.dtype.type(3) for name, y in super().infer(feeds).items()}


def test_an_engine_that_computes_something_else_is_refused(graph: VerifiedGraph) -> None:
    graph = replace(graph, options=replace(graph.options, precision=Precision.FP16))
    with pytest.raises(ParityError, match=r"check 'engine' failed: .*8-bit difference .*report it with --plan"):
        engine_parity(
            b"engine", sidecar((16, 16)), graph, lambda *_: WrongEngine("fake", graph.content, "wrong", (CPU,))
        )


def test_an_engine_that_does_not_open_is_an_error(graph: VerifiedGraph) -> None:
    def broken(content: bytes, described: Sidecar, name: str) -> Engine:
        raise EngineError("could not deserialise")

    with pytest.raises(EngineError, match="could not deserialise"):
        engine_parity(b"engine", sidecar((16, 16)), graph, broken)


@pytest.mark.tensorrt
@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_without_a_gpu_the_reason_is_said() -> None:
    assert str(why_not_here(sidecar((16, 16)))).startswith("no usable NVIDIA GPU")
