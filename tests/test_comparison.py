"""Results side by side: the sheet to look at, and engines on one picture in figures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efdn import bicubic
from efdn.errors import EngineError, MissingExtraError, ShapeError, UsageError
from efdn.metrics import psnr
from engines.comparison import engines
from engines.comparison.differences import Difference, measure_difference, most_different
from engines.comparison.drawing import enlarge
from engines.comparison.engines import EngineRow, compare_engines, engine_table, usual_engines
from engines.comparison.sheet import BACKGROUND, CELL, CROP, FRAMES, GAP, choose_crops, compare_sheet
from engines.options import RunOptions
from engines.protocol import Engine
from engines.select import Choice
from engines.whole import Pixels
from tests.conftest import noise
from tests.fake_engine import NearestNeighbour


def count(sheet: Pixels, colour: tuple[int, int, int]) -> int:
    return int((sheet == np.array(colour, np.uint8)).all(axis=2).sum())


def flat(height: int, width: int, level: int = 128) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("height", "width"), [(13, 13), (1, 1), (30, 30), (31, 200), (13, 700), (700, 13), (90, 110), (300, 200)]
)
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_a_sheet_can_be_drawn_of_any_picture(height: int, width: int, columns: int) -> None:
    lr = noise(height, width)
    result = bicubic.upscale(lr, 4)
    results = [(f"method {index} " * 9, result ^ np.uint8(index)) for index in range(columns)]
    sheet = compare_sheet(lr, results)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1:] == (GAP + columns * (CELL + GAP), 3)
    # Room around, and neither a band of nothing nor a tower.
    assert (sheet[:, : GAP // 2] == BACKGROUND).all()
    assert 60 < sheet.shape[0] < 3000
    assert count(sheet, BACKGROUND) < sheet.shape[0] * sheet.shape[1]


def test_every_result_is_shown_whole_and_in_each_crop() -> None:
    lr = flat(50, 60)
    levels = (60, 90, 150)
    sheet = compare_sheet(lr, [(str(level), flat(200, 240, level)) for level in levels])
    crops = len(choose_crops([flat(200, 240, level) for level in levels]))
    whole = 400 * 480
    for column, level in enumerate(levels):
        left = GAP + column * (CELL + GAP)
        shown = count(sheet[:, left : left + CELL], (level,) * 3)
        # Frames and numbers lie on the pictures: less than a tenth.
        assert shown == pytest.approx(whole + crops * CELL**2, rel=0.1)
        assert count(sheet, (level,) * 3) == pytest.approx(shown, abs=500)  # Letters are smoothed.


def test_crops_show_where_the_results_differ_and_are_framed_in_their_colours() -> None:
    one = flat(720, 800)
    other = one.copy()
    other[600:640, 700:760] = 255
    other[100:120, 40:60] = 0
    crops = choose_crops([one, other])
    assert [crop.number for crop in crops] == [1, 2]
    first, second = crops
    assert first.of(other).max() == 255
    assert (first.of(other) == 255).sum() == 3 * 40 * 60
    assert (second.of(other) == 0).sum() == 3 * 20 * 20
    sheet = compare_sheet(one[::4, ::4], [("a", one), ("b", other)])
    for crop in crops:
        assert count(sheet, crop.colour) > 4 * 3 * CELL
    assert count(sheet, FRAMES[2]) == 0
    # The crop as it is, enlarged: its flat part of 255 is there at four times its size.
    assert count(sheet, (255, 255, 255)) >= 16 * 40 * 60


def test_a_picture_no_larger_than_a_crop_is_shown_enlarged_alone() -> None:
    lr = noise(13, 13)
    result = bicubic.upscale(lr, 4)
    assert choose_crops([result, result]) == ()
    sheet = compare_sheet(lr, [("a", result)])
    factor = CELL // 52
    bottom = sheet.shape[0] - GAP
    np.testing.assert_array_equal(
        sheet[bottom - 52 * factor : bottom, GAP : GAP + 52 * factor], enlarge(result, factor)
    )


def test_equal_results_still_make_a_sheet() -> None:
    assert len(choose_crops([flat(300, 300), flat(300, 300)])) == 1


def test_a_title_stands_in_a_line_of_its_own() -> None:
    lr, result = flat(20, 20), flat(80, 80)
    plain, titled = (compare_sheet(lr, [("a", result)], title) for title in (None, "日本 photo.png"))
    assert titled.shape[0] > plain.shape[0]


def test_results_of_different_shapes_or_none_are_refused() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        compare_sheet(flat(9, 9), [("a", flat(36, 36)), ("b", flat(36, 40))])
    with pytest.raises(ShapeError, match="got none"):
        compare_sheet(flat(9, 9), [])


def test_windows_are_found_by_error_and_lie_apart() -> None:
    reference = flat(1000, 600)
    other = reference.copy()
    for top, left, level in ((0, 0, 180), (504, 200, 250), (880, 480, 200), (520, 208, 255)):
        other[top : top + 16, left : left + 16] = level
    places = most_different(reference, [other], (CROP, CROP), count=3)
    assert len(places) == 3
    for (top, left), (y, x) in zip(places, ((504, 200), (880, 480), (0, 0)), strict=True):
        assert top <= y <= top + CROP - 16
        assert left <= x <= left + CROP - 16


def test_a_window_may_be_the_whole_picture() -> None:
    assert most_different(flat(37, 50), [flat(37, 50, 3)], (37, 50), count=3) == [(0, 0)]


@pytest.mark.parametrize("shape", [(1, 1), (300, 7), (600, 20)])
def test_the_difference_is_psnr_and_the_largest_level(shape: tuple[int, int]) -> None:
    one, other = noise(*shape), noise(*shape, 1)
    difference = measure_difference(one, other)
    assert difference.psnr_db == pytest.approx(psnr(one, other), abs=1e-9)
    assert difference.largest == np.abs(one.astype(int) - other).max()
    assert measure_difference(one, one) == (math.inf, 0)
    with pytest.raises(ShapeError):
        measure_difference(one, noise(shape[0] + 1, shape[1]))


class Shelf:
    """Fake engines by name: a shift of their results, or the error that they raise."""

    def __init__(self, **engines: float | Exception) -> None:
        self.engines = engines
        self.opened: list[NearestNeighbour] = []

    def __call__(self, model: Path | None, name: str, options: RunOptions) -> Choice:
        assert all(engine.closed for engine in self.opened), "engines are to be open one after another"
        behaviour = self.engines[name.replace("-", "_")]
        if isinstance(behaviour, Exception):
            raise behaviour
        engine = NearestNeighbour()
        engine.corrupt = lambda y: y + np.float32(behaviour)
        self.opened.append(engine)
        return Choice(engine=engine)


def test_engines_are_run_one_after_another_and_compared_with_the_first_that_runs() -> None:
    shelf = Shelf(
        tensorrt=EngineError("needs a file:\nbuild one"),
        onnxruntime_cuda=MissingExtraError("onnxruntime", "gpu", "It"),
        openvino=0,
        onnxruntime_cpu=2,
        pytorch=0,
    )
    pixels = np.clip(noise(20, 24), 0, 250)
    told: list[str] = []
    rows = compare_engines(pixels, open_engine=shelf, report=told.append)
    assert [row.engine for row in rows] == told == list(usual_engines())
    assert [row.error is None for row in rows] == [False, False, True, True, True]
    assert rows[0].error == "needs a file: build one"
    assert [row.difference for row in rows[2:]] == [
        None,
        (pytest.approx(10 * math.log10(255**2 / 4)), 2),
        (math.inf, 0),
    ]
    assert all(len(row.run_s) == 3 for row in rows[2:])
    np.testing.assert_array_equal(rows[2].result, enlarge(pixels, 4))
    assert all(engine.closed for engine in shelf.opened)


def test_an_engine_that_fails_while_it_runs_is_closed_and_told() -> None:
    shelf = Shelf(onnxruntime_cpu=math.nan, openvino=0)
    rows = compare_engines(noise(20, 20), ["onnxruntime-cpu", "openvino"], open_engine=shelf)
    assert "not finite" in str(rows[0].error)
    assert rows[1].difference is None
    assert all(engine.closed for engine in shelf.opened)


def test_a_slow_engine_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ENOUGH_S", 0.0)
    calls: list[str] = []

    def run(engine: Engine, pixels: Pixels) -> Pixels:
        calls.append(engine.name)
        return pixels

    (row,) = compare_engines(noise(13, 13), ["openvino"], open_engine=Shelf(openvino=0), run=run)
    assert (calls, row.run_s, row.best_s, row.median_s) == (["fake"], (), None, None)
    assert engine_table([row])[1].split()[-4:] == ["-", "-", "reference", "-"]


def test_a_lack_of_memory_is_a_row() -> None:
    def run(engine: Engine, pixels: Pixels) -> Pixels:
        if len(shelf.opened) == 1:
            raise MemoryError
        return pixels

    shelf = Shelf(openvino=0, pytorch=0)
    rows = compare_engines(noise(13, 13), ["openvino", "pytorch"], open_engine=shelf, run=run)
    assert "out of memory" in str(rows[0].error)
    assert rows[1].error is None


def test_no_engine_at_all_no_such_engine_and_no_such_model_are_errors() -> None:
    with pytest.raises(EngineError, match=r"no engine could run: openvino \(lost\)"):
        compare_engines(noise(13, 13), ["openvino"], open_engine=Shelf(openvino=EngineError("lost")))
    with pytest.raises(UsageError, match="no engine 'nonsense'"):
        compare_engines(noise(13, 13), ["openvino", "nonsense"], open_engine=Shelf(openvino=0))
    with pytest.raises(EngineError, match=r"no model file gone\.onnx"):
        compare_engines(noise(13, 13), model=Path("gone.onnx"), open_engine=Shelf())


def test_the_table_is_aligned_and_keeps_every_failure() -> None:
    rows = (
        EngineRow(engine="tensorrt", error="needs a file"),
        EngineRow(engine="onnxruntime-cpu", open_s=0.5, first_s=1.25, run_s=(1.0, 1.5, 1.125)),
        EngineRow(engine="openvino", open_s=2, first_s=1, run_s=(0.5,), difference=Difference(93.287, 1)),
        EngineRow(engine="pytorch", open_s=10, first_s=2, run_s=(2,), difference=Difference(math.inf, 0)),
    )
    assert engine_table(rows) == (
        "engine             opened  first run     best   median       PSNR  largest difference",
        "onnxruntime-cpu   0.500 s    1.250 s  1.000 s  1.125 s  reference                   -",
        "openvino          2.000 s    1.000 s  0.500 s  0.500 s   93.29 dB             1 level",
        "pytorch          10.000 s    2.000 s  2.000 s  2.000 s      equal            0 levels",
        "tensorrt: needs a file",
    )
    content = json.loads(json.dumps([row.to_json() for row in rows], allow_nan=False))
    assert content[2]["psnr_db"] == pytest.approx(93.287)
    assert (content[3]["psnr_db"], content[3]["largest_difference"], content[3]["run_s"]) == (None, 0, [2])
    assert content[0]["error"] == "needs a file"


def test_a_real_engine_fills_a_row_and_a_sheet(tiny_photo: Path) -> None:
    with Image.open(tiny_photo) as image:
        pixels = np.asarray(image.convert("RGB"))
    (row,) = compare_engines(pixels, ["onnxruntime-cpu"])
    assert row.result is not None
    assert row.result.shape == (56, 68, 3)
    sheet = compare_sheet(pixels, [("bicubic", bicubic.upscale(pixels, 4)), (row.engine, row.result)])
    assert sheet.shape[1] == 2 * CELL + 3 * GAP
