"""What the comparison with peers expects shapes to cost, and what it leaves out."""

from __future__ import annotations

import re

import pytest

from benchmarks.peers.budget import Experience, Pace, fitting, seconds_for
from benchmarks.peers.rows import BASELINE, ROWS, chosen_rows
from engines.profiling.measure import Settings
from tests.profiling_fakes import lane

OPENVINO = next(row for row in ROWS if row.key == "openvino")


def test_time_is_that_of_starts_warm_up_and_five_rounds_at_least() -> None:
    pace = Pace(pixels=1, run_s=10.0, start_s=3.0, memory_bytes=None)
    assert seconds_for([pace], Settings(seconds=1.0, starts=False)) == 3 + 10 + 10 + 5 * 10
    assert seconds_for([pace], Settings(seconds=1.0, starts=True)) == 2 * (3 + 10) + 10 + 5 * 10
    quick = Pace(pixels=1, run_s=0.001, start_s=1.0, memory_bytes=None)
    assert seconds_for([quick], Settings(seconds=2.0, warm_up_s=0.5, starts=False)) == pytest.approx(1.001 + 0.5 + 2)


def test_what_does_not_fit_is_left_out_by_weight_with_its_reason() -> None:
    rows = chosen_rows(["channels-last", "onnxruntime"])
    experience = Experience()
    for entry in rows:
        experience.paces[entry.key] = [Pace(pixels=100, run_s=1.0, start_s=0.0, memory_bytes=10**9)]
    settings = Settings(seconds=1.0, warm_up_s=0, starts=False)
    ask = {"experience": experience, "settings": settings, "left_s": 1e9, "free_bytes": None}

    def kept(**changes: object) -> tuple[list[str], dict[str, str]]:
        found, reasons = fitting(rows, (10, 10), **{**ask, **changes})  # type: ignore[arg-type]
        return [entry.key for entry in found], reasons

    assert kept() == (["published", "channels-last", "onnxruntime"], {})
    # Each takes seven runs of a second: two fit into 15.
    names, reasons = kept(left_s=15.0)
    assert names == ["published", "onnxruntime"]
    assert re.fullmatch("about 21 s with the rows before it, 15 s left", reasons["channels-last"])
    names, reasons = kept(free_bytes=3 * 10**9)
    assert names == ["published", "onnxruntime"]
    assert "about 3.0 GB with the rows before it" in reasons["channels-last"]
    names, reasons = kept(left_s=3.0)
    assert names == []
    assert set(reasons) == {"published", "channels-last", "onnxruntime"}


def test_a_new_shape_is_expected_to_cost_more_than_in_proportion() -> None:
    experience = Experience(paces={"published": [Pace(pixels=100, run_s=1.0, start_s=2.0, memory_bytes=50)]})
    larger, smaller = (experience.expect(BASELINE, side) for side in ((20, 20), (5, 5)))
    assert larger is not None
    assert larger.run_s > 4
    assert larger.memory_bytes is not None
    assert larger.memory_bytes > 200
    assert smaller is not None
    assert smaller.run_s == pytest.approx(0.25)
    assert smaller.memory_bytes == 50
    assert experience.expect(OPENVINO, (20, 20)) is None


def test_memory_is_that_of_the_process_and_its_growth() -> None:
    pace = Pace(pixels=100, run_s=0.001, start_s=0.0, memory_bytes=10**8, resident_bytes=10**9)
    experience = Experience(paces={"published": [pace]})
    # Four times the pixels: half a gigabyte of growth, 1.5 in all. Of what is free, 70 % may be taken.
    for free, keeps in ((2.1, False), (2.2, True)):
        settings = Settings(seconds=1.0, starts=False)
        kept, _ = fitting([BASELINE], (20, 20), experience, settings, left_s=1e9, free_bytes=int(free * 1e9))
        assert bool(kept) is keeps


def test_what_failed_is_not_tried_again_at_that_shape_or_a_larger_one() -> None:
    experience = Experience()
    settings = Settings(seconds=1.0, starts=False)
    experience.learn(OPENVINO, (64, 64), lane("openvino", [], error="it broke"))
    experience.note_failure(OPENVINO, (96, 96), "later")
    rows = [BASELINE, OPENVINO]
    for side in ((64, 64), (720, 1280)):
        kept, reasons = fitting(rows, side, experience, settings, left_s=1e9, free_bytes=None)
        assert kept == (BASELINE,)
        assert reasons == {"openvino": "failed at 64x64: it broke"}
    assert fitting(rows, (32, 32), experience, settings, left_s=1e9, free_bytes=None) == (tuple(rows), {})
