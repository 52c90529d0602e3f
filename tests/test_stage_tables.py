"""The figures of stages as the page shows them."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from efdn.network import EFDN
from efdn.passes.pipeline import find_passes
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.precision import Precision
from export.report import Report
from export.report_page import report_page
from export.stage_tables import FIGURES, allowed_text, failure_text, share_text, stage_chart, stage_table, tolerances_of
from export.stages import stages_of
from tests.report_samples import CLOSE, EQUAL, FAR, LOST, OPTIONS, ROUNDED, check, failing, make_report, row


@pytest.fixture
def report() -> Report:
    return make_report()


def test_table_shows_the_worst_of_all_pictures_and_marks_what_breaks(report: Report) -> None:
    content = report_page(failing(report, check("onnx fp16, uint8", "a <black> & b", ROUNDED, FAR)), "x", [])
    cells = row(content, "onnx fp16, uint8")
    assert cells[1] == '<td class="words bad">\N{BALLOT X} no, on 1 of 2</td>'
    assert cells[2:9] == [
        '<td title="on photo">2.0e-03</td>',
        '<td title="on a &lt;black&gt; &amp; b">2.5e-01</td>',
        '<td title="on a &lt;black&gt; &amp; b">31.0 dB</td>',
        '<td class="bad" title="on a &lt;black&gt; &amp; b">64</td>',
        '<td class="bad" title="on a &lt;black&gt; &amp; b">50.00%</td>',
        '<td class="words">a &lt;black&gt; &amp; b</td>',
        '<td class="words">1 level, 10% differ</td>',
    ]
    assert row(content, "fold")[1:3] == [
        '<td class="words good">\N{CHECK MARK} yes</td>',
        '<td title="on photo">0</td>',
    ]


def test_every_figure_of_every_check_is_in_the_details(report: Report) -> None:
    content = report_page(failing(report, check("onnx fp32", "photo", LOST, FAR)), "x", [])
    shown = [re.sub(r"<.*?>", "", cell) for cell in row(content, "onnx fp32", table=1)]
    assert shown[2:] == ["not finite"] * 5 + ["2.5e-01", "1.0e-02", "31.0 dB", "64", "50.00%"]
    assert "equal" in row(content, "fold", table=1)[4]
    assert "<li>onnx fp32: values are not finite (from the stage before); max error" in content


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: f"{figure.side} {figure.head}")
def test_the_worst_of_a_figure_is_the_largest_error(figure: Any) -> None:
    checks = [check("onnx fp16, uint8", str(index), parity, parity) for index, parity in enumerate((CLOSE, FAR, EQUAL))]
    assert figure.worst(checks).picture == "1"
    assert figure.worst([*checks, check("onnx fp16, uint8", "3", LOST, LOST)]).picture == "3"


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("io", list(IOFormat))
def test_limits_shown_are_those_that_stages_are_held_to(
    small_network: EFDN, precision: Precision, io: IOFormat
) -> None:
    passes = find_passes("tensorrt", pictures=io is IOFormat.UINT8)
    options = OnnxOptions(precision=precision, io=io, passes=passes, opset=22)
    names = []
    for stage in stages_of(small_network, options, (16, 16)):
        assert tolerances_of(stage.name, options) == (stage.before, stage.reference)
        names.append(stage.name)
    assert len(names) > len(passes) + 1


def test_limits_in_words() -> None:
    assert allowed_text("fold", OPTIONS) == "1e-09; 1e-04"
    assert allowed_text("onnx fp32", OPTIONS) == "1e-04"
    assert allowed_text("onnx fp16", OPTIONS) == "55 dB, 2 levels"
    assert allowed_text("onnx fp16, uint8", OPTIONS) == "1 level, 10% differ"


def test_a_figure_is_held_to_the_limit_of_its_side(report: Report) -> None:
    fold = row(report_page(failing(report, check("fold", "photo", CLOSE, CLOSE)), "x", []), "fold")
    assert fold[2:4] == ['<td class="bad" title="on photo">3.0e-07</td>', '<td title="on photo">3.0e-07</td>']


def test_what_breaks_is_said_once_where_both_sides_agree() -> None:
    both = failure_text(check("onnx fp32", "photo", FAR, FAR), OPTIONS)
    assert both == "max error 2.50e-01 of range, at most 1e-04 allowed"
    one = failure_text(check("onnx fp32", "photo", CLOSE, FAR, overflow="a/Conv"), OPTIONS)
    assert one == f"{both} (from PyTorch FP32); the first tensor that overflows is a/Conv"


def test_chart_marks_stand_where_the_worst_errors_are(report: Report) -> None:
    found = re.search(r"<svg.*?</svg>", stage_chart(failing(report, check("fold", "photo", LOST, FAR))), re.DOTALL)
    assert found is not None
    chart = ElementTree.fromstring(found[0])
    rings: list[float] = []
    dots: list[float] = []
    ticks: list[float] = []
    for mark in (element for element in chart.iter() if element.get("class") == "mark"):
        kind = ticks if mark.get("x") else rings if mark.get("fill") == "none" else dots
        kind.append(float(mark.get("cx") or float(mark.attrib["x"]) + 1.5))
    titles = [title.text for title in chart.iter("{http://www.w3.org/2000/svg}title")]
    assert {"not finite from the stage before, on photo", "2.5e-01 from PyTorch FP32, on photo"} <= set(titles)
    # In order of stages: fold is lost before and far off, the others are as near as they are.
    assert rings[1] == dots[1] < rings[2] == dots[2] < dots[0] < rings[0]
    assert len(ticks) == 3
    assert min(ticks) < dots[1] < max(ticks) < dots[2]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0"), (1e-9, "<0.01%"), (1e-4, "0.01%"), (0.0331, "3.31%"), (1.0, "100.00%")]
)
def test_a_share_that_is_not_zero_never_looks_like_it(share: float, text: str) -> None:
    assert share_text(share) == text


def test_headers_stand_over_their_columns(report: Report) -> None:
    content = stage_table(report)
    spans = [(int(span), name) for span, name in re.findall(r'colspan="(\d+)">([^<]*)<', content)]
    heads = re.findall(r"<th(?: class=\"words\")?>([^<]*)<", content)
    assert sum(span for span, _ in spans) == len(heads) == len(row(content, "fold"))
    assert spans[1:3] == [(1, "stage before"), (4, "PyTorch FP32")]
    assert heads[2:7] == ["max error", "max error", "PSNR", "grey levels", "differ"]
