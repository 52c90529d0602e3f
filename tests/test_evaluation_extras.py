"""What an evaluation has beside its scores: the factsheet, and the sheet to look at."""

from pathlib import Path

import numpy as np
import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.weights import save_network
from engines.evaluation.conventions import CONVENTIONS, score
from engines.evaluation.counts import count_model, weights_behind
from engines.evaluation.factsheet import Candidate, measure_factsheet
from engines.evaluation.measure import Seen, measure_sets
from engines.evaluation.result import BICUBIC, Settings
from engines.evaluation.sheet import CELL, CROP, Sheet, spread, worst_crop
from engines.worker.subject import Subject
from tests.conftest import make_network, noise
from tests.evaluation_samples import only, save
from tests.fake_engine import NearestNeighbour
from tests.profiling_fakes import Behaviour, Workers

CHALLENGE = CONVENTIONS["challenge"]


def test_a_factsheet_times_one_forward_per_picture_and_counts_the_network(tmp_path: Path) -> None:
    for number, size in enumerate(((64, 72), (72, 64), (64, 72))):
        save(tmp_path / f"{number}.png", noise(*size))
    sets = measure_sets([only(tmp_path)], {"pytorch": NearestNeighbour()}, Settings())
    workers = Workers({"pytorch": Behaviour(ms=20)})
    candidates = [Candidate(name="pytorch", subject=Subject(engine="pytorch"))]
    sheet = measure_factsheet(candidates, sets, Settings(), start=workers)
    (row,) = sheet.rows
    (cost,) = row.costs.values()
    assert (cost.runtime_ms, cost.mean_ms, cost.memory_bytes) == ((20, 20, 20), 20, 200)
    assert workers.calls == [
        ("pytorch", name) for name in ("open", "prepare", "run", "prepare", "run", "memory")
    ]  # Two sizes, each run once before it counts.
    assert workers.living == 0
    assert row.counts is not None
    assert (row.counts.parameters, row.counts.flops, row.counts.activations, row.counts.convolutions) == (
        173_478,
        10_601_491_320,
        187_322_520,
        198,
    )
    content = sheet.as_json()
    assert content["measured"]["rows"][0]["sets"][tmp_path.name]["mean_runtime_ms"] == 20
    published = {entry["name"]: entry for entry in content["published"]["rows"]}
    assert (published["EFDN"]["psnr_db"]["DIV2K valid"], published["EFDN"]["runtime_ms"]) == (28.97, 55.16)
    assert (published["RFDN"]["psnr_db"]["DIV2K valid"], published["RFDN"]["runtime_ms"]) == (29.04, 19.24)


def test_counts_are_those_of_the_weights_behind_a_model(tmp_path: Path) -> None:
    network = make_network()
    weights = tmp_path / "small.safetensors"
    save_network(network, weights)
    assert weights_behind(None) == weights_behind(DEFAULT_ONNX) == DEFAULT_WEIGHTS
    assert weights_behind(weights) == weights
    counts, unknown = count_model(weights)
    assert counts is not None
    assert (counts.parameters, unknown) == (sum(p.numel() for p in network.parameters()), None)
    lonely = tmp_path / "lonely.onnx"
    lonely.write_bytes(DEFAULT_ONNX.read_bytes())
    counts, unknown = count_model(lonely)
    assert counts is None
    assert unknown is not None
    assert unknown.startswith("not known from an ONNX file")


def test_the_crop_is_where_bicubic_is_worst() -> None:
    hr = np.full((200, 300, 3), 128, np.uint8)
    other = hr.copy()
    other[130:150, 210:240] = 255
    top, left, side = worst_crop(hr, other)
    assert side == CROP
    assert top <= 130
    assert top + side >= 150
    assert left <= 210
    assert left + side >= 240
    assert worst_crop(hr[:50], other[:50])[2] == 50


def test_pictures_are_spread_over_a_set() -> None:
    assert spread(3, 5) == {0, 1, 2}
    assert spread(5, 5) == {0, 1, 2, 3, 4}
    assert spread(100, 5) == {0, 20, 40, 60, 80}


def test_a_sheet_shows_the_same_crop_by_every_method(tmp_path: Path) -> None:
    hr = np.full((200, 300, 3), 128, np.uint8)
    results = {BICUBIC: hr // 2, "engine": hr}
    scores = {name: score(hr, result, CHALLENGE, 4) for name, result in results.items()}
    sheet = Sheet(CHALLENGE, rows_per_set=1)
    for index in range(2):
        sheet.add(Seen(set_name="S", name="a" * 60, index=index, count=2, hr=hr, results=results, scores=scores))
    pixels = sheet.render("a model")
    rows = [np.count_nonzero((pixels == level).all(axis=2)) for level in (64, 128)]
    # Bicubic; the engine, the original and the overview with its frame; letters are smoothed, hence not exact.
    assert rows[0] == pytest.approx(CELL**2, abs=500)
    assert rows[1] == pytest.approx(2 * CELL**2 + CELL * 192, rel=0.02)
    assert pixels.shape[1] > 4 * CELL
    assert pixels.shape[0] < 2 * CELL
