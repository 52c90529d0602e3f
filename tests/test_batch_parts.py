"""Parts of a batch by themselves: the channel of rows, settings, and summaries."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from efdn.errors import ConfigError, EngineError
from engines.batch.channel import RowChannel, RowsLostError
from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.summary import Summary, Waits, failure_lines, summary_line
from engines.batch.work import Concurrency


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_a_channel_takes_a_band_of_any_size_but_not_two() -> None:
    channel = RowChannel(most_bytes=10)
    band = np.zeros((5, 100, 3), np.uint8)
    assert channel.put(band, 0)
    assert not channel.put(band, 0.01)
    assert next(channel) is band
    assert channel.put(band, 0)
    channel.end()
    assert list(channel) == [band]
    assert channel.taken == 10


def test_a_channel_that_failed_gives_no_more_rows() -> None:
    channel = RowChannel(most_bytes=1000)
    channel.put(np.zeros((1, 1, 3), np.uint8), 0)
    channel.end(EngineError("lost"))
    channel.end()
    with pytest.raises(RowsLostError) as caught:
        next(channel)
    assert isinstance(caught.value.__cause__, EngineError)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"jobs": 0}, {"queue_bytes": 0}):
        with pytest.raises(ConfigError, match="at least 1, got 0"):
            Concurrency(**wrong)


def test_a_summary_counts_and_says_it_in_a_line() -> None:
    done = Outcome(source=Path("a"), status=Status.DONE, stages=Stages(read_s=1, infer_s=8, write_s=2))
    failed = Outcome(source=Path("b"), status=Status.FAILED, reason="b is broken")
    skipped = Outcome(source=Path("c"), status=Status.SKIPPED, reason="its result exists")
    summary = Summary(outcomes=(done, failed, skipped, done), seconds=20, waits=Waits(read_s=1, queue_s=2, end_s=1))
    assert summary_line(summary) == "2 upscaled, 1 skipped, 1 failed in 20.0 s (engine idle 20%)"
    assert failure_lines(summary) == ("b is broken",)
    assert summary.overhead_share == pytest.approx(20 / 16 - 1)
    text = json.loads(json.dumps(summary.to_json()))
    assert (text["done"], text["failed"], text["idle_share"], text["infer_s"]) == (2, 1, 0.2, 16)
    many = Summary(outcomes=(failed,) * 500, seconds=1)
    assert len(failure_lines(many)) == 500


def test_outcomes_of_names_that_are_no_text_can_be_shown_and_sent(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n.png") if os.name != "nt" else "caf\n.png"
    outcome = Outcome(source=Path(name), target=Path("é.png"), status=Status.FAILED, reason=f"{name} is broken")
    line = json.dumps(outcome.to_json(), ensure_ascii=False)
    line.encode("utf-8")
    assert json.loads(line)["target"] == "é.png"
    (shown,) = failure_lines(Summary(outcomes=(outcome,), seconds=1))
    shown.encode("utf-8")
    if os.name != "nt":
        assert json.loads(line)["source_bytes"] == b"caf\xe9\n.png".hex()
        assert shown == r"caf\xe9\n.png is broken"
