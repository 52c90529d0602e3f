"""What the CPU path is made of: which passes a step has, what kind a layer is, how much work a graph is, the tables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.cpu_path import __main__ as command
from benchmarks.cpu_path import page, rates
from benchmarks.cpu_path.ladder import ENGINES, STEPS, steps
from benchmarks.cpu_path.page import chart, ladder_table, limits_table, shares_table, write_page
from benchmarks.cpu_path.shares import ACTIVATIONS, CONVOLUTIONS, COPIES, KINDS, MIXING, REST, _kind_of_event, by_kind
from benchmarks.marked_text import END, begin
from efdn.passes.pipeline import PASSES, PIPELINES
from engines.protocol import LayerTime

CONTENT: dict[str, Any] = {
    "side": 16,
    "ladder": {
        "baseline_ms": 2000.0,
        "baseline_seconds": [2.0, 2.0, 3.0],
        "rows": [
            {
                "step": "norms folded",
                "onnxruntime-cpu": {"median_ms": 1000.0, "times_as_fast": 2.0, "seconds": [1.0, 0.5, 2.0]},
                "openvino": {"median_ms": 500.0, "times_as_fast": 4.0, "seconds": [0.5, 0.5, 0.5]},
            }
        ],
    },
    "shares_ms": {"openvino": {CONVOLUTIONS: 5.0, MIXING: 4.0, ACTIVATIONS: 3.0, COPIES: 2.0, REST: 1.0}},
    "rates": {"gflops": 200.0, "copy_gb_s": 20.0},
    "work": {"gflop": 4.0, "gb": 1.0},
}


def test_every_step_adds_passes_and_the_last_is_the_pipeline() -> None:
    names = [name for name, _ in steps()]
    passes = [set(chosen) for _, chosen in steps()]
    assert names == [name for name, _ in STEPS]
    assert passes[0] == set()
    assert all(before < after for before, after in pairwise(passes))
    assert steps()[-1][1] == PIPELINES["openvino"] == PIPELINES["onnxruntime"]


def test_passes_of_a_step_stand_in_the_order_in_which_they_run() -> None:
    order = [item.name for item in PASSES]
    for _, chosen in steps():
        assert list(chosen) == sorted(chosen, key=order.index)


def test_time_goes_by_kind_of_layer_and_shifts_are_mixing() -> None:
    layers = (
        LayerTime(name="/body.0/c1/conv", kind="Conv", ms=1.0),
        LayerTime(name="/body.0/c1/shift", kind="Conv", ms=2.0),
        LayerTime(name="g", kind="GroupConvolution", ms=4.0),
        LayerTime(name="a", kind="Gelu", ms=8.0),
        LayerTime(name="/body.0/shift/Concat", kind="Concat", ms=16.0),
        LayerTime(name="s", kind="Add", ms=32.0),
        LayerTime(name="u", kind="", ms=64.0),
    )
    assert by_kind(layers) == {CONVOLUTIONS: 1, MIXING: 6, ACTIVATIONS: 8, COPIES: 16, REST: 96}
    assert by_kind(()) == dict.fromkeys(KINDS, 0.0)


@pytest.mark.parametrize(
    ("key", "shapes", "kind"),
    [
        ("aten::conv2d", [[1, 48, 66, 66], [48, 1, 3, 3], []], MIXING),
        # Not continued, however its side divides by four.
        ("aten::conv2d", [[1, 48, 62, 62], [48, 1, 3, 3], []], CONVOLUTIONS),
        ("aten::conv2d", [[1, 48, 66, 66], [48, 48, 3, 3], []], CONVOLUTIONS),
        ("aten::gelu", [[1, 48, 64, 64]], ACTIVATIONS),
        ("aten::cat", [[]], COPIES),
        ("aten::add", [[1, 48, 64, 64]], REST),
    ],
)
def test_the_published_form_mixes_in_depthwise_convolutions_of_continued_maps(
    key: str, shapes: list[list[int]], kind: str
) -> None:
    assert _kind_of_event(SimpleNamespace(key=key, input_shapes=shapes), side=64) == kind


def test_work_is_counted_from_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Conv", ["a", "d"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, group=6),
        ],
        "hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [6, 3, 3, 3], [0.1] * 162),
            helper.make_tensor("d", TensorProto.FLOAT, [6, 1, 3, 3], [0.1] * 54),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / "hand.onnx")
    monkeypatch.setattr(rates, "DEFAULT_ONNX", tmp_path / "hand.onnx")
    work = rates.work_of_graph(8)
    # A multiplication and an addition for each weight that a value is made from: 3x3x3 of them, then 3x3.
    assert work["gflop"] == pytest.approx(2 * 8 * 8 * 6 * (27 + 9) / 1e9, rel=1e-12)
    # 3 channels read and 6 written, then 6 and 6.
    assert work["gb"] == pytest.approx(4 * 8 * 8 * (3 + 6 + 6 + 6) / 1e9, rel=1e-12)


def test_the_ladder_shows_medians_and_the_range_over_rounds() -> None:
    assert ladder_table(CONTENT).splitlines() == [
        "| passes, at 16x16 | ONNX Runtime | over the baseline | OpenVINO | over the baseline |",
        "|---|---|---|---|---|",
        "| baseline: PyTorch eager, published form, 2000 ms | | 1.00x | | 1.00x |",
        "| norms folded | 1000 ms | 2.00x (1.50 to 4.00) | 500 ms | 4.00x (4.00 to 6.00) |",
    ]
    assert len(ENGINES) == 2


def test_shares_stand_in_the_order_of_their_heading_and_are_added_up() -> None:
    heading, rule, row = shares_table(CONTENT).splitlines()
    assert heading == f"| ms of a profiled run | {' | '.join(KINDS)} | together |"
    assert rule.count("---") == heading.count("|") - 1
    assert row == "| OpenVINO | 5 | 4 | 3 | 2 | 1 | 15 |"


def test_limits_are_work_over_rate() -> None:
    rows = limits_table(CONTENT).splitlines()
    assert rows[2].endswith("| 4.0 GFLOP | 200 GFLOP/s, a product of two matrices | 20 ms |")
    assert rows[3].endswith("| 1.00 GB | 20.0 GB/s, a copy | 50 ms |")


def test_tables_and_chart_go_to_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "performance.md"
    text.write_text(f"before\n{begin(page.COMMAND)}\nold\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", text)
    monkeypatch.setattr(page, "CHART", tmp_path / "chart.svg")
    tables = write_page(CONTENT)
    assert text.read_text(encoding="utf-8") == (f"before\n{begin(page.COMMAND)}\n\n{tables}\n\n{END}\nafter\n")
    assert (tmp_path / "chart.svg").read_text(encoding="utf-8") == chart(CONTENT)


def test_a_page_without_a_place_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unexpected() -> None:
        raise AssertionError("measured")

    (tmp_path / "page.md").write_text("no place\n", encoding="utf-8")
    monkeypatch.setattr(command, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(command, "measure_and_write", unexpected)
    assert command.main() == 1
    assert capsys.readouterr().err.startswith("cpu-path: expected <!-- figures: python -m benchmarks.cpu_path -->")
