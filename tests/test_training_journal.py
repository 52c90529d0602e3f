"""The log of a training run is whole at every moment, resumes, and can be drawn from its file alone."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from efdn.errors import MissingExtraError, OutputError, TrainingError
from efdn.training import journal as journal_module
from efdn.training.curve import MOST_POINTS, curve, write_curve
from efdn.training.journal import Journal
from efdn.training.log_rows import COLUMNS, LogRow, read_rows, write_rows

SVG = "{http://www.w3.org/2000/svg}"


def row(iteration: int, **changed: Any) -> LogRow:
    figures: dict[str, Any] = {
        "time_s": iteration / 4,
        "images": 8 * iteration,
        "learning_rate": 5e-4,
        "loss": 1000 / iteration,
        "psnr_db": 20 + math.log(iteration),
        "images_per_s": 32.0,
        "waiting_share": 0.0125,
    }
    return LogRow(iteration=iteration, **figures | changed)


def test_the_log_has_its_columns_and_each_row_at_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(row(100, loss=math.pi))
        lines = (tmp_path / "log.csv").read_text().splitlines()
        assert lines[0] == ("iteration,time_s,images,learning_rate,loss,psnr_db,val_psnr_db,images_per_s,waiting_share")
        assert lines[1:] == ["100,25.0,800,0.0005,3.14159,24.6052,,32,0.0125"]
        journal.add(row(200, val_psnr_db=25.5))
        assert len(read_rows(tmp_path / "log.csv")) == 2
    assert lines[0].split(",") == list(COLUMNS)
    assert [row.val_psnr_db for row in read_rows(tmp_path / "log.csv")] == [None, 25.5]
    journal.close()


def test_resuming_drops_rows_of_steps_taken_again(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for iteration in (10, 20, 30, 40):
            journal.add(row(iteration))
    # Power went while a row was written.
    with (tmp_path / "log.csv").open("a") as file:
        file.write("50,12.5,40")
    with Journal.resume(tmp_path, 25) as journal:
        assert [row.iteration for row in journal.rows] == [10, 20]
        assert [row.iteration for row in read_rows(tmp_path / "log.csv")] == [10, 20]
        journal.add(row(30, loss=7.0))
    rows = read_rows(tmp_path / "log.csv")
    assert [(row.iteration, row.loss) for row in rows] == [(10, 100), (20, 50), (30, 7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.svg", "log.csv"]


def test_a_run_without_a_log_gets_one_on_resuming_but_a_new_one_takes_no_others(tmp_path: Path) -> None:
    with Journal.resume(tmp_path, 100) as journal:
        journal.add(row(110))
    with pytest.raises(OutputError, match="there already"):
        Journal(tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        Journal(tmp_path / "none")
    assert len(read_rows(tmp_path / "log.csv")) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no training log"),
        ("a,b\n1,2\n", "expected the columns iteration, time_s"),
        (",".join(COLUMNS) + "\n1,2,3\n", "line 2: expected 9 numbers, got '1,2,3'"),
        (",".join(COLUMNS) + "\n1.5,2,3,4,5,6,7,8,9\n", "line 2"),
        (",".join(COLUMNS) + "\n1,2,3,4,,6,7,8,9\n", "line 2"),
    ],
)
def test_another_file_by_that_name_is_not_overwritten(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(TrainingError, match=said):
        Journal.resume(tmp_path, 5)
    assert (tmp_path / "log.csv").read_text() == content


def test_rows_come_back_from_their_file(tmp_path: Path) -> None:
    rows = (row(1, psnr_db=math.inf), row(3_000_000_000, loss=1.5e-9, val_psnr_db=30.25), row(3_000_000_001))
    write_rows(rows, tmp_path / "log.csv")
    for back, given in zip(read_rows(tmp_path / "log.csv"), rows, strict=True):
        for name in COLUMNS:
            expected, seconds = getattr(given, name), name == "time_s"
            # Six digits; of seconds one after the point.
            close = None if expected is None else pytest.approx(expected, rel=5e-6, abs=0.051 if seconds else 0)
            assert getattr(back, name) == close


def polylines(drawn: str) -> dict[str, list[tuple[float, float]]]:
    """Points of each line by its colour."""
    return {
        line.attrib["stroke"]: [(float(x), float(y)) for x, y in (p.split(",") for p in line.attrib["points"].split())]
        for line in ElementTree.fromstring(drawn).iter(f"{SVG}polyline")
    }


def test_the_curve_is_drawn_from_the_log_alone_and_has_its_points(tmp_path: Path) -> None:
    rows = [row(i, val_psnr_db=24 + i / 1000 if i % 300 == 0 else None) for i in range(100, 1300, 100)]
    write_rows(rows, tmp_path / "log.csv")
    write_curve(read_rows(tmp_path / "log.csv"), tmp_path / "log.svg")
    drawn = (tmp_path / "log.svg").read_text()
    loss, training, validation = polylines(drawn).values()
    assert [len(line) for line in (loss, training, validation)] == [12, 12, 4]
    # Iterations are equally far, a falling loss goes down, that is y up, and a rising PSNR up.
    steps = [right - left for (left, _), (right, _) in pairwise(loss)]
    assert steps == pytest.approx([steps[0]] * 11, abs=0.11)
    assert [y for _, y in loss] == sorted(y for _, y in loss)
    assert [y for _, y in training] == sorted((y for _, y in training), reverse=True)
    # Loss spans more than four times: equal ratios are equally far.
    y = {round(1000 / row.loss): at for row, (_, at) in zip(rows, loss, strict=True)}
    assert y[400] - y[200] == pytest.approx(y[800] - y[400], abs=0.3)
    # One scale for both kinds of PSNR.
    assert [at[0] for at in validation] == [training[i][0] for i in (2, 5, 8, 11)]
    assert "PSNR in validation: 25.20 dB at the end" in drawn
    marks = [mark for mark in ElementTree.fromstring(drawn).iter() if mark.get("class") == "mark"]
    assert [mark.findtext(f"{SVG}title") for mark in marks][-1] == "PSNR in validation, iteration 1,200: 25.20 dB"


def test_a_long_log_makes_a_small_picture() -> None:
    drawn = curve([row(i) for i in range(1, 50_001)])
    for line in polylines(drawn).values():
        assert 0 < len(line) <= MOST_POINTS
        assert all(60 < x < 920 for x, _ in line)
    assert len(drawn) < 60_000


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1)],
        [row(1, loss=0.0, psnr_db=math.inf), row(2, loss=0.0, psnr_db=math.inf)],
        [row(1, loss=math.nan, psnr_db=math.nan)],
        [row(1, loss=1e-30), row(2, loss=1e30)],
        [row(i, loss=4.0, psnr_db=30.0, val_psnr_db=30.0) for i in range(1, 4)],
    ],
)
def test_no_log_is_too_odd_for_a_curve(rows: list[LogRow]) -> None:
    drawn = curve(rows)
    assert not re.search(r'="-?(nan|inf)', drawn)
    for line in polylines(drawn).values():
        assert all(0 <= x <= 920 and 0 <= y <= 640 for x, y in line)
    assert len(list(ElementTree.fromstring(drawn).iter(f"{SVG}line"))) < 60


def test_the_curve_follows_while_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "DRAW_EVERY_S", -1.0)
    with Journal(tmp_path) as journal:
        journal.add(row(10))
        journal.add(row(20))
        assert "50 at the end" in (tmp_path / "curve.svg").read_text()


def test_an_empty_log_has_no_curve(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_missing_tensorboard_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"A TensorBoard log needs tensorboard.*\[train\]"):
        Journal(tmp_path, tensorboard=True)
    assert list(tmp_path.iterdir()) == []


def scalars(folder: Path) -> Iterator[tuple[str, int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    for tag in events.Tags()["scalars"]:
        yield from ((tag, event.step, event.value) for event in events.Scalars(tag))


def test_tensorboard_sees_the_same_figures_and_a_resumed_run_as_one(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with Journal(tmp_path, tensorboard=True) as journal:
        for iteration in (10, 20, 30):
            journal.add(row(iteration, val_psnr_db=25.0 if iteration == 20 else None))
    with Journal.resume(tmp_path, 20, tensorboard=True) as journal:
        journal.add(row(30, loss=7.0))
    found = list(scalars(tmp_path / "tensorboard"))
    assert [(step, value) for tag, step, value in found if tag == "train/loss"] == [(10, 100), (20, 50), (30, 7)]
    assert [(step, value) for tag, step, value in found if tag == "validation/psnr_db"] == [(20, 25)]
