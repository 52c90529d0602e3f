"""OpenVINO's compiled models are kept, and what is kept is never trusted blindly."""

import os
from pathlib import Path

import numpy as np
import pytest

from efdn.assets import DEFAULT_ONNX
from efdn.caches import VARIABLE
from efdn.errors import EngineError
from engines.openvino import OpenVinoEngine, open_openvino
from engines.openvino.cache import KEPT, CompiledCache
from engines.openvino.runtime import load_openvino
from engines.options import RunOptions
from engines.protocol import INPUT, OUTPUT
from tests.conftest import installed

pytestmark = pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")


X = np.random.default_rng(0).uniform(0, 255, (1, 3, 24, 31)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def result(threads: int = 1) -> np.ndarray:
    with open_openvino(DEFAULT_ONNX, RunOptions(threads=threads)) as engine:
        return engine.infer({INPUT: X})[OUTPUT]


def forbid_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: OpenVinoEngine, **settings: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(OpenVinoEngine, "_compile", refuse)


def test_the_second_start_compiles_nothing_and_gives_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = result()
    assert len(files(cache)) == 1
    forbid_compiling(monkeypatch)
    np.testing.assert_array_equal(result(), first)
    with pytest.raises(AssertionError, match="compiled"):
        result(threads=2)  # Other settings, another file.


@pytest.mark.parametrize("damage", ["a byte", "refused"])
def test_a_file_that_is_no_good_is_replaced(cache: Path, damage: str) -> None:
    first = result()
    (file,) = files(cache)
    if damage == "a byte":
        bad = bytearray(file.read_bytes())
        bad[len(bad) // 2] ^= 1
        file.write_bytes(bad)
    else:
        CompiledCache(file).save(b"not a model")
    np.testing.assert_array_equal(result(), first)
    kept = CompiledCache(file).load()
    assert kept is not None
    assert len(kept) > 100_000


def test_only_whole_files_are_taken(tmp_path: Path) -> None:
    cache = CompiledCache(tmp_path / "a.bin")
    cache.save(b"compiled")
    good = cache.path.read_bytes()
    assert cache.load() == b"compiled"
    for bad in (b"", good[:-1], good[:20], b"x" + good[1:], good + b"x"):
        cache.path.write_bytes(bad)
        assert cache.load() is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "cache"))
    assert result().shape == (1, 3, 96, 124)


def test_files_not_used_for_longest_go(tmp_path: Path) -> None:
    def path(index: int) -> Path:
        return tmp_path / f"{index:03}.bin"

    for index in range(KEPT):
        CompiledCache(path(index)).save(bytes([index]))
        os.utime(path(index), (index, index))
    CompiledCache(path(0)).load()
    for index in (KEPT, KEPT + 1):
        CompiledCache(path(index)).save(bytes([index]))
    assert files(tmp_path) == [path(index) for index in (0, *range(3, KEPT + 2))]


def test_a_folder_that_is_asked_for_is_the_one_used(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = tmp_path_factory.mktemp("own")
    open_openvino(DEFAULT_ONNX, RunOptions(threads=1, cache_dir=own)).close()
    assert len(files(own)) == 1
    assert files(cache) == []


def test_a_processor_that_openvino_cannot_use_is_left_to_other_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, device: str, name: str) -> None:
        raise RuntimeError("Exception from plugin.cpp:1:\nno such device")

    monkeypatch.setattr(load_openvino().Core, "get_property", refuse)
    with pytest.raises(EngineError, match="OpenVINO cannot use the processor: no such device"):
        open_openvino(DEFAULT_ONNX)
