"""Bicubic enlargement as an engine."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.bicubic import upscale as benchmarks_upscale
from efdn.errors import EngineError, ModelFileError
from engines import upscale
from engines.bicubic import BicubicEngine, open_bicubic
from engines.select import choose_engine
from tests.conftest import noise


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_results_are_those_of_the_benchmarks_on_a_smooth_picture(scale: int) -> None:
    rows, columns = np.mgrid[:33, :41]
    smooth = np.stack([4 * rows, 3 * columns, 2 * rows + columns], axis=2).astype(np.uint8)
    # They round after each direction, this once.
    difference = np.abs(upscale(smooth, BicubicEngine(scale)).astype(int) - benchmarks_upscale(smooth, scale))
    inside = difference[8 * scale : -8 * scale, 8 * scale : -8 * scale]
    assert inside.max() <= 1


def test_tiles_change_nothing() -> None:
    pixels = noise(70, 90, 3)
    with BicubicEngine(4) as engine:
        np.testing.assert_array_equal(upscale(pixels, engine, tile=48, overlap=8), upscale(pixels, engine, tile=0))


def test_a_single_pixel_stays_what_it_is() -> None:
    pixel = np.array([[[10, 20, 30]]], dtype=np.uint8)
    np.testing.assert_array_equal(upscale(pixel, BicubicEngine(4)), np.broadcast_to(pixel, (4, 4, 3)))


@pytest.mark.parametrize("scale", [3, 4])
def test_the_scale_is_that_of_the_onnx_file(tmp_path: Path, scale: int) -> None:
    model = onnx.load(DEFAULT_ONNX)
    (entry,) = (entry for entry in model.metadata_props if entry.key == "scale")
    entry.value = str(scale)
    onnx.save(model, tmp_path / "m.onnx")
    with open_bicubic(tmp_path / "m.onnx") as engine:
        assert engine.model.scale == scale
        assert upscale(noise(5, 7, 3), engine).shape == (5 * scale, 7 * scale, 3)


def test_a_file_that_is_no_onnx_is_blamed_on_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"^m\.onnx is not a readable ONNX file"):
        open_bicubic(tmp_path / "m.onnx")


def test_weights_are_refused() -> None:
    with pytest.raises(EngineError, match="engine bicubic reads ONNX files"):
        choose_engine(DEFAULT_WEIGHTS, "bicubic")
