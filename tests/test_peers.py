"""The comparison with peers: what is planned, what there is time for, what is held to be equal, what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.marked_text import END, begin, check_place, write_between
from benchmarks.peers import __main__ as command
from benchmarks.peers import files as peer_files
from benchmarks.peers import run
from benchmarks.peers.budget import Experience, Pace, fitting, seconds_for
from benchmarks.peers.charts import bars, curves
from benchmarks.peers.files import Files
from benchmarks.peers.outputs import check_equal, differences
from benchmarks.peers.record import Findings
from benchmarks.peers.rows import BASELINE, COMPILED, ROWS, Row, Source, chosen_rows, reference_of
from benchmarks.peers.run import Plan, compare_peers
from benchmarks.peers.table import full_tables, short_table
from efdn.errors import EngineError, OutputError, ParityError, UsageError
from engines.profiling import measure
from engines.profiling.measure import Settings
from engines.registry import ENGINES
from tests.profiling_fakes import Behaviour, Workers

SVG = "{http://www.w3.org/2000/svg}"
KEYS = ("channels-last", "onnxruntime", "openvino", "rfdn-published", "rfdn-onnxruntime", "rfdn-openvino")
CHANNELS_LAST = "pytorch-published-channels-last"


def row(key: str) -> Row:
    return next(row for row in ROWS if row.key == key)


def behaviours(**changes: Behaviour) -> dict[str, Behaviour]:
    usual = {
        "pytorch-published": Behaviour(ms=40.0),
        CHANNELS_LAST: Behaviour(ms=20.0),
        "onnxruntime-cpu": Behaviour(ms=10.0),
        "openvino": Behaviour(ms=8.0),
    }
    return usual | {name.replace("_", "-"): behaviour for name, behaviour in changes.items()}


@pytest.fixture
def without_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that no fake engine reads."""

    def prepare(folder: Path, rows: object, say: object) -> Files:
        for name in ("rfdn.safetensors", "rfdn.onnx"):
            (folder / name).write_bytes(b"1234")
        return Files(folder=folder, absent={Source.ENGINE: "no NVIDIA GPU here"})

    monkeypatch.setattr(run, "prepare", prepare)
    monkeypatch.setattr(measure, "PAUSE_S", 0.0)


def compared(workers: Workers, *keys: str, **changes: object) -> Findings:
    fields = {"shapes": ((16, 20),), "scaling": (), "seconds": 0.5, **changes}
    return compare_peers(Plan(rows=chosen_rows(keys or KEYS), **fields), start=workers, say=lambda text: None)  # type: ignore[arg-type]


def recorded(findings: Findings) -> dict[str, object]:
    """As it comes back from a file."""
    content: dict[str, object] = json.loads(json.dumps(findings.as_json("make bench")))
    return content


def test_the_first_row_is_the_baseline_and_every_row_can_be_asked_for() -> None:
    assert ROWS[0] is BASELINE
    assert BASELINE.engine == "pytorch-published"
    assert chosen_rows([]) == ROWS
    assert [row.key for row in chosen_rows(["bicubic"])] == ["published", "bicubic"]
    with pytest.raises(UsageError, match="no row 'caffe': expected published, "):
        chosen_rows(["caffe"])


def test_every_row_has_an_engine_that_is_known() -> None:
    assert {row.engine for row in (*ROWS, COMPILED)} <= {entry.name for entry in ENGINES}


def test_rows_are_compared_with_their_own_network() -> None:
    assert reference_of(row("onnxruntime"), ROWS) is BASELINE
    assert reference_of(row("rfdn-openvino"), ROWS) is row("rfdn-published")
    assert reference_of(BASELINE, ROWS) is None
    assert reference_of(row("bicubic"), ROWS) is None


@pytest.mark.parametrize(("level", "equal"), [(101, True), (102, False)])
def test_outputs_may_differ_by_one_grey_level(level: int, equal: bool) -> None:
    pictures = {key: np.full((1, 8, 8, 3), 100, np.uint8) for key in ("published", "openvino", "bicubic")}
    pictures["openvino"][0, 3, 4, 1] = level
    pictures["bicubic"] += 90
    found = differences(ROWS, pictures)
    assert found.keys() == {"openvino"}
    if equal:
        check_equal(ROWS, found, "2x2")
        return
    with pytest.raises(ParityError, match=r"OpenVINO, efdn at 2x2: expected .* within 1 grey level, got 2") as caught:
        check_equal(ROWS, found, "2x2")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("without_exports")
def test_a_different_output_ends_the_run() -> None:
    workers = Workers(behaviours(openvino=Behaviour(level=102)))
    with pytest.raises(ParityError, match="OpenVINO, efdn at 16x20"):
        compared(workers, "onnxruntime", "openvino")
    assert workers.living == 0


@pytest.mark.usefixtures("without_exports")
def test_a_different_network_may_give_another_picture() -> None:
    # In the fakes both networks give the same; RFDN's is held to RFDN, of which this is the only one that differs.
    workers = Workers(behaviours(openvino=Behaviour(level=102)))
    with pytest.raises(ParityError, match="RFDN, OpenVINO, efdn"):
        compared(workers, "rfdn-published", "rfdn-openvino")
    assert compared(workers, "rfdn-openvino").shapes[0]["figures"]["rfdn-openvino"]["grey_levels"] is None


@pytest.mark.usefixtures("without_exports")
def test_figures_are_ratios_to_the_baseline_and_to_rfdn() -> None:
    found = compared(Workers(behaviours()))
    (shape,) = found.shapes
    figures = shape["figures"]
    # A millisecond of each run of the fakes is conversion: (40 + 1) / (10 + 1), and 40 / 10 in the network.
    assert figures["onnxruntime"]["ratio"] == pytest.approx(41 / 11, rel=1e-3)
    assert figures["onnxruntime"]["ratio_range"] == pytest.approx([41 / 11] * 2, rel=1e-3)
    assert figures["onnxruntime"]["network_ratio"] == pytest.approx(4, rel=1e-3)
    assert figures["published"]["ratio"] == 1
    assert figures["openvino"]["memory_bytes"] == 200
    assert figures["openvino"]["grey_levels"] == 0
    assert figures["rfdn-onnxruntime"]["model_bytes"] == 4
    assert {name: ratio["median"] for name, ratio in shape["efdn_over_rfdn"].items()} == {
        "pytorch-published": 1,
        "onnxruntime-cpu": 1,
        "openvino": 1,
    }


@pytest.mark.usefixtures("without_exports")
def test_a_row_that_fails_is_said_and_the_others_go_on() -> None:
    workers = Workers(behaviours(openvino=Behaviour(fails="open")))
    content = recorded(compared(workers, "onnxruntime", "openvino"))
    assert "- OpenVINO, efdn at 16x20: it broke" in short_table(content)
    assert "| ONNX Runtime, efdn | 11 ms, **3.73x**" in short_table(content)
    with pytest.raises(EngineError, match="the baseline did not run at 16x20: it broke"):
        compared(Workers(behaviours(pytorch_published=Behaviour(fails="open"))), "onnxruntime")


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
    assert experience.expect(row("openvino"), (20, 20)) is None


@pytest.mark.usefixtures("without_exports")
def test_what_there_is_no_time_for_is_in_the_record_and_the_table() -> None:
    found = compared(Workers(behaviours()), "onnxruntime", shapes=((16, 20), (4000, 4000)), minutes=0.5)
    assert list(found.left_out) == ["4000x4000"]
    assert re.search(
        r"- ONNX Runtime, efdn at 4000x4000: the baseline would take too much: about \d+ s",
        short_table(recorded(found)),
    )


@pytest.mark.usefixtures("without_exports")
def test_large_shapes_alone_are_begun_with_a_small_one() -> None:
    found = compared(Workers(behaviours()), "onnxruntime", shapes=((3000, 3000),), minutes=0.5)
    assert [shape["title"] for shape in found.shapes] == ["64x64"]
    assert "3000x3000" in found.left_out


@pytest.mark.usefixtures("without_exports")
def test_sizes_between_are_measured_of_three_rows_only() -> None:
    found = compared(Workers(behaviours()), scaling=((16, 20), (32, 32)))
    assert [(shape["title"], shape["scaling"]) for shape in found.shapes] == [("16x20", False), ("32x32", True)]
    assert set(found.shapes[1]["figures"]) == {"published", "onnxruntime", "openvino"}


@pytest.mark.usefixtures("without_exports")
def test_the_table_tells_times_ratios_absences_and_how_to_repeat_it() -> None:
    content = recorded(compared(Workers(behaviours()), "tensorrt", "onnxruntime", "openvino"))
    text = short_table(content)
    assert "|  | 16x20 | memory | start | file | output |" in text
    assert re.search(r"\| PyTorch eager \(baseline\) \| 41 ms \| 0 MB \| \d\.\d s \| 0\.76 MB \| - \|", text)
    assert "| OpenVINO, efdn | 9 ms, **4.56x** (4.56-4.56) | 0 MB |" in text
    assert "- TensorRT, efdn: no NVIDIA GPU here" in text
    assert "- PyTorch, torch.compile: not asked for" in text
    assert "`make bench`" in text
    full = full_tables(content)
    assert "| OpenVINO, efdn | 9 | 9-9 | 8 | 0.0% | 4.56x | 4.56-4.56 | 5.00x |" in full


@pytest.mark.usefixtures("without_exports")
def test_charts_have_a_bar_for_each_row_and_a_point_for_each_size() -> None:
    content = recorded(compared(Workers(behaviours()), scaling=((32, 32),)))
    chart = ElementTree.fromstring(bars(content))
    assert len(chart.findall(f"{SVG}rect")) == 1 + len(KEYS)
    (best,) = [bar for bar in chart.findall(f"{SVG}rect") if bar.attrib["class"] == "bar best"]
    assert float(best.attrib["width"]) < 200
    texts = [text.text for text in chart.iter(f"{SVG}text")]
    assert "One picture, end to end: 16x20 to 32x40, " in (texts[0] or "")
    assert "9 ms, 4.6x" in texts
    panels = ElementTree.fromstring(curves(content)).findall(f"{SVG}g")
    assert [len([point for point in panel if point.get("class") == "point"]) for panel in panels] == [6, 6]
    times = [point for point in panels[0] if point.get("class") == "point"]
    # The baseline's first, then ONNX Runtime's: four times as fast is lower on the page.
    assert float(times[0].attrib["cy"]) < float(times[2].attrib["cy"])
    assert float(times[0].attrib["cx"]) < float(times[1].attrib["cx"])


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{begin('make bench')}\nold\n{END}\nafter {END}\n", encoding="utf-8")
    check_place(page, "make bench")
    write_between(page, "make bench", "new\n")
    assert page.read_text(encoding="utf-8") == f"before\n{begin('make bench')}\n\nnew\n\n{END}\nafter {END}\n"
    with pytest.raises(OutputError, match=r"expected <!-- figures: make test --> .* in README\.md"):
        write_between(page, "make test", "new")
    with pytest.raises(OutputError, match="cannot read"):
        check_place(tmp_path / "none.md", "make bench")


def test_an_export_that_cannot_be_made_is_absent_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(target: Path) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(peer_files, "_export_plain", fails)
    files = peer_files.prepare(tmp_path, chosen_rows(["openvino-plain", "tensorrt"]), lambda text: None)
    assert files.absent[Source.PLAIN_SLICES] == "No module named 'onnxscript': pip install it"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--shape 16", "--shape takes HEIGHTxWIDTH"),
        ("--all --shape 16x16", "--all does not go with --shape"),
        ("--only caffe", "no row 'caffe'"),
    ],
)
def test_wrong_options_are_said_in_one_line(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(line.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_two_engines_are_compared_from_start_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"--only onnxruntime --shape 16x16 --seconds 0.05 --out {tmp_path}"
    assert command.main(line.split()) == 0
    content = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
    (shape,) = content["shapes"]
    figures = shape["figures"]
    assert figures.keys() == {"published", "onnxruntime"}
    assert figures["onnxruntime"]["grey_levels"] <= 1
    # Any machine, at any load: what it takes to start PyTorch is more than a run of sixteen pixels a side.
    assert figures["published"]["cold_start_s"] * 1e3 > figures["published"]["end_to_end_ms"] > 0
    assert len(shape["raw"]["engines"][0]["rounds_ms"]["end_to_end"]) >= 5
    assert str(tmp_path) not in json.dumps(content["shapes"])
    assert {"peers.md", "peers.svg", "scaling.svg"} <= {path.name for path in tmp_path.iterdir()}
    assert "| ONNX Runtime, efdn |" in capsys.readouterr().out
