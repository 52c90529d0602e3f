"""The machine that tests of TensorRT's run time share, and what their fake network gives."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from efdn.caches import cache_folder
from engines.protocol import Engine
from tests.conftest import noise
from tests.fakes.machine import Machine

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


def cache_files() -> list[Path]:
    return sorted(path for path in cache_folder().rglob("*") if path.is_file())
