"""Pages and charts are well-formed and escape what they show."""

from xml.etree import ElementTree

import pytest

from efdn.html import bar_chart, page, table

SVG = "{http://www.w3.org/2000/svg}"


def test_chart_bars_are_in_proportion() -> None:
    chart = ElementTree.fromstring(bar_chart("Times <ms>", [("a & b", 10.0, "10 ms"), ("c", 2.5, "2.5 ms")], best="c"))
    first, second = chart.findall(f"{SVG}rect")
    assert float(first.attrib["width"]) == pytest.approx(4 * float(second.attrib["width"]), abs=0.5)
    assert second.attrib["class"] == "bar best"
    assert [text.text for text in chart.findall(f"{SVG}text")] == ["Times <ms>", "a & b", "10 ms", "c", "2.5 ms"]


@pytest.mark.parametrize("bars", [[], [("nothing", 0.0, "0")]])
def test_chart_of_nothing_is_a_chart(bars: list[tuple[str, float, str]]) -> None:
    assert ElementTree.fromstring(bar_chart("empty", bars)).tag == f"{SVG}svg"


def test_page_escapes_text() -> None:
    content = page("a <b>", table(["x"], [["<script>"]]))
    assert "<script>" not in content
    assert "&lt;script&gt;" in content
    assert content.startswith("<!doctype html>")
