"""The comparison with peers: what is planned, what is held to be equal, what is kept, what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers.charts import bars, curves
from benchmarks.peers.figures import against_rfdn, figures_of
from benchmarks.peers.outputs import check_equal, differences
from benchmarks.peers.rows import BASELINE, COMPILED, ROWS, chosen_rows, reference_of
from benchmarks.peers.table import full_tables, short_table
from efdn.errors import ParityError, UsageError
from engines.profiling.result import Lane, ShapeProfile
from engines.registry import ENGINES
from engines.worker.subject import Sample, Subject
from tests.peers_samples import KEYS, behaviours, compared, recorded, row
from tests.profiling_fakes import Behaviour, Workers

SVG = "{http://www.w3.org/2000/svg}"


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


def test_quartiles_leave_out_the_rounds_that_something_disturbed() -> None:
    def lane(name: str, *milliseconds: float) -> Lane:
        samples = tuple((Sample(end_to_end=ms, infer=ms, compute=ms),) for ms in milliseconds)
        return Lane(name=name, subject=Subject(), rounds=samples)

    # 1, 2, 3, 4 and 40 times as fast, round by round.
    lanes = (lane(BASELINE.name, 100, 100, 100, 100, 400), lane("it", 100, 50, 100 / 3, 25, 10))
    figures = figures_of(ShapeProfile(shape=(16, 20), batch=1, lanes=lanes, reference=None), lanes[1], None, None)
    assert figures.ratio == pytest.approx(3)
    assert figures.ratio_quartiles == pytest.approx((2, 4))
    assert figures.ratio_range == pytest.approx((1, 40))
    rows = (row("onnxruntime"), row("rfdn-onnxruntime"))
    (found,) = against_rfdn(rows, {"onnxruntime": lanes[0], "rfdn-onnxruntime": lanes[1]}).values()
    assert found == {"median": 3, "quartiles": [2, 4], "range": [1, 40]}


def test_tables_and_bars_tell_ratios_by_their_middle_half() -> None:
    content = recorded(compared(Workers(behaviours())))
    figures = content["shapes"][0]["figures"]
    # Slower in milliseconds, in rounds in which the machine was slower.
    figures["openvino"] |= {"ratio": 3.0, "ratio_quartiles": [2.0, 4.0], "ratio_range": [1.0, 40.0]}
    figures["openvino"] |= {"end_to_end_ms": 90.0}
    figures["onnxruntime"] |= {"ratio": 2.0, "end_to_end_ms": 80.0}
    content["shapes"][0]["efdn_over_rfdn"]["openvino"] = {"median": 0.9, "quartiles": [0.8, 1.0], "range": [0.1, 9]}
    text = short_table(content)
    assert "| OpenVINO, efdn | 90 ms, **3.00x** (2.00-4.00) |" in text
    assert "OpenVINO 0.90 (0.80-1.00)" in text
    assert re.search(r"all take turns \(\d+ or more\), in brackets their middle half", text)
    assert "| 3.00x | 2.00-4.00 | 1.00-40 |" in full_tables(content)
    drawn = ElementTree.fromstring(bars(content))
    names = [row["key"] for row in content["rows"] if row["key"] in figures]
    widths = dict(zip(names, (float(bar.attrib["width"]) for bar in drawn.findall(f"{SVG}rect")), strict=True))
    assert widths["openvino"] == pytest.approx(widths["published"] / 3, rel=1e-2)
    assert widths["openvino"] < widths["onnxruntime"]


def test_compiled_figures_have_a_title_of_their_own() -> None:
    workers = Workers(behaviours(pytorch_compiled=Behaviour(ms=30.0)))
    content = recorded(compared(workers, "onnxruntime", shapes=((64, 64),), compiled=True))
    titles = [line for line in full_tables(content).splitlines() if line.startswith("## ")]
    assert titles == ["## 64x64", "## 64x64, torch.compile"]
    assert "| PyTorch, torch.compile | 31 ms, **1.32x**" in short_table(content)
    content["compiled"]["figures"]["compiled"] = {"error": "a | b"}
    assert "PyTorch, torch.compile at 64x64, torch.compile (a | b)" in short_table(content)
    assert r"did not run: a \| b |" in full_tables(content)


def test_what_there_is_no_time_for_is_in_the_record_and_the_table() -> None:
    found = compared(Workers(behaviours()), "onnxruntime", shapes=((16, 20), (4000, 4000)), minutes=0.5)
    assert list(found.left_out) == ["4000x4000"]
    assert re.search(
        r"- ONNX Runtime, efdn at 4000x4000: nothing without the baseline: about \d+ s",
        full_tables(recorded(found)),
    )


def test_large_shapes_alone_are_begun_with_a_small_one() -> None:
    found = compared(Workers(behaviours()), "onnxruntime", shapes=((3000, 3000),), minutes=0.5)
    assert [shape["title"] for shape in found.shapes] == ["64x64"]
    assert "3000x3000" in found.left_out


def test_sizes_between_are_measured_of_three_rows_only() -> None:
    found = compared(Workers(behaviours()), scaling=((16, 20), (32, 32)))
    assert [(shape["title"], shape["scaling"]) for shape in found.shapes] == [("16x20", False), ("32x32", True)]
    assert set(found.shapes[1]["figures"]) == {"published", "onnxruntime", "openvino"}


def test_the_table_tells_times_ratios_absences_and_how_to_repeat_it() -> None:
    content = recorded(compared(Workers(behaviours()), "tensorrt", "onnxruntime", "openvino"))
    text = short_table(content)
    assert "|  | 16x20 | memory | start | file | output |" in text
    assert re.search(r"\| PyTorch eager \(baseline\) \| 41 ms \| 0 MB \| \d\.\d s \| 0\.76 MB \| - \|", text)
    assert "| OpenVINO, efdn | 9 ms, **4.56x** (4.56-4.56) | 0 MB |" in text
    assert "TensorRT, efdn (no NVIDIA GPU here)" in text
    assert "Not measured: PyTorch, torch.compile (not asked for" in text
    assert "`make bench`" in text
    full = full_tables(content)
    assert "| OpenVINO, efdn | 9 | 9-9 | 8 | 0.0% | 4.56x | 4.56-4.56 | 4.56-4.56 | 5.00x |" in full
    assert "- TensorRT, efdn: no NVIDIA GPU here" in full


def test_charts_have_a_bar_for_each_row_and_a_point_for_each_size() -> None:
    content = recorded(compared(Workers(behaviours()), scaling=((32, 32),)))
    chart = ElementTree.fromstring(bars(content))
    assert len(chart.findall(f"{SVG}rect")) == 1 + len(KEYS)
    widths = {bar: float(bar.attrib["width"]) for bar in chart.findall(f"{SVG}rect")}
    (best,) = [width for bar, width in widths.items() if bar.attrib["class"] == "bar best"]
    assert best == min(widths.values())
    texts = [text.text for text in chart.iter(f"{SVG}text")]
    assert "Time of one picture over PyTorch eager's, end to end: 16x20 to 32x40, " in (texts[0] or "")
    assert "4.6x (9 ms)" in texts
    panels = ElementTree.fromstring(curves(content)).findall(f"{SVG}g")
    assert [len([point for point in panel if point.get("class") == "point"]) for panel in panels] == [6, 6]
    times = [point for point in panels[0] if point.get("class") == "point"]
    # The baseline's first, then ONNX Runtime's: four times as fast is lower on the page.
    assert float(times[0].attrib["cy"]) < float(times[2].attrib["cy"])
    assert float(times[0].attrib["cx"]) < float(times[1].attrib["cx"])


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
    assert str(tmp_path) not in json.dumps(content)
    assert {"peers.md", "peers.svg", "scaling.svg"} <= {path.name for path in tmp_path.iterdir()}
    assert "| ONNX Runtime, efdn |" in capsys.readouterr().out
