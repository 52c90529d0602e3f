"""Memory of one picture: the table, where results go, and what is said when a process fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import main_path, memory
from benchmarks.command import run_module
from benchmarks.memory import main, table
from efdn.caches import VARIABLE
from efdn.errors import EngineError


def row(engine: str, **more: Any) -> dict[str, Any]:
    return {"engine": engine, "side": [10, 20], "before": 3_000_000, "peak": 5_000_000, "after": 4_000_000, **more}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measures nothing; the file of results."""
    monkeypatch.setattr(memory, "RESULTS", tmp_path / "memory.json")
    monkeypatch.setattr(memory, "_measured_apart", lambda engine, side, options: row(engine, side=list(side)))
    monkeypatch.setattr(memory, "live_sets", lambda engine, side, graph: {})
    return tmp_path / "memory.json"


def test_growth_is_held_to_the_least_that_must_live() -> None:
    rows = [row("openvino", live={"none": 900_000, "in place": 800_000, "fused": 500_000}), row("pytorch")]
    assert table(rows).splitlines() == [
        "| engine | size | before, MB | growth, MB | bytes a pixel | must live, bytes a pixel | ratio |",
        "| - | - | -: | -: | -: | -: | -: |",
        "| openvino | 10x20 | 3 | 2 | 10,000 | 2,500 | 4.00 |",
        "| pytorch | 10x20 | 3 | 2 | 10,000 |  |  |",
    ]


def test_the_usual_run_is_recorded_with_date_and_commit(measured: Path) -> None:
    assert main([]) == 0
    content = json.loads(measured.read_text(encoding="utf-8"))
    assert content["command"] == "python -m benchmarks.memory"
    assert {"date", "commit", "machine"} <= content.keys()
    assert [(found["engine"], found["side"]) for found in content["rows"]] == [
        (engine, side) for engine in ("onnxruntime-cpu", "openvino") for side in ([256, 256], [720, 1280])
    ]


@pytest.mark.parametrize("typed", ["16x16", "--engines openvino", "--model a.onnx", "--threads 1", "--whole"])
def test_any_other_run_is_printed_and_recorded_only_where_a_file_is_named(
    measured: Path, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) == 0
    assert "| openvino |" in capsys.readouterr().out
    assert not measured.exists()
    out = measured.with_name("other.json")
    assert main([*typed.split(), "--out", str(out)]) == 0
    assert not measured.exists()
    assert json.loads(out.read_text(encoding="utf-8"))["command"].startswith(f"python -m benchmarks.memory {typed}")


@pytest.mark.usefixtures("measured")
def test_a_size_that_is_none_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["16"]) == 2
    assert capsys.readouterr().err == "memory: a size takes HEIGHTxWIDTH such as 256x256, got '16'\n"


def test_a_process_that_fails_is_quoted(tmp_path: Path) -> None:
    expected = r"^python -m json\.tool .*nowhere\.json ended with exit code \d+: .*nowhere\.json"
    with pytest.raises(EngineError, match=expected):
        run_module("json.tool", str(tmp_path / "nowhere.json"))


def test_first_runs_are_kept_apart_and_no_cache_but_an_own_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "theirs")
    caches: list[str] = []

    def run_nothing(module: str, *arguments: str, environment: dict[str, str]) -> str:
        caches.append(environment[VARIABLE])
        return ""

    monkeypatch.setattr(main_path, "run_module", run_nothing)
    first, later = main_path.measure_commands(runs=2)
    assert first.keys() == later.keys()
    assert {len(seconds) for seconds in later.values()} == {2}
    assert len(caches) == 3 * len(first)
    assert len(set(caches)) == 1
    assert "theirs" not in caches
