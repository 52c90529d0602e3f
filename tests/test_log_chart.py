"""The logarithmic chart puts marks where their values belong, zero and infinity too."""

from xml.etree import ElementTree

import pytest

from efdn.log_chart import Look, Mark, log_chart

SVG = "{http://www.w3.org/2000/svg}"
LOOKS = {
    "error & co": Look(shape="dot", colour="#111111"),
    "other": Look(shape="ring", colour="#222222"),
    "limit": Look(shape="tick", colour="#333333"),
}


def drawn(rows: list[tuple[str, list[Mark]]]) -> ElementTree.Element:
    return ElementTree.fromstring(log_chart("Errors <rms>", rows, LOOKS))


def places(chart: ElementTree.Element) -> dict[str, float]:
    """Middle of each mark, by its tooltip."""
    marks = [mark for mark in chart.iter() if mark.get("class") == "mark"]
    return {
        mark.findtext(f"{SVG}title") or "": float(mark.get("cx") or float(mark.attrib["x"]) + 1.5) for mark in marks
    }


def mark(value: float, kind: str = "error & co") -> Mark:
    return Mark(value=value, kind=kind, tooltip=f"{value:g} <{kind}>")


def test_a_power_of_ten_is_as_far_as_any_other() -> None:
    found = places(drawn([("a", [mark(1e-9), mark(1e-6, "other")]), ("b", [mark(1e-3, "limit")])]))
    near, middle, far = found["1e-09 <error & co>"], found["1e-06 <other>"], found["0.001 <limit>"]
    assert near < middle < far
    assert middle - near == pytest.approx(far - middle, abs=0.2)


def test_zero_stands_before_and_what_is_not_finite_after_all_others() -> None:
    chart = drawn([("a", [mark(0.0), mark(1e-12), mark(1e3), mark(float("inf")), mark(float("nan"))])])
    found = places(chart)
    zero, least, largest, infinite, missing = found.values()
    assert zero < least < largest < infinite == missing
    texts = [text.text for text in chart.iter(f"{SVG}text")]
    assert {"0", "not finite"} <= set(texts)
    assert not {"0", "not finite"} & {text.text for text in drawn([("a", [mark(0.5)])]).iter(f"{SVG}text")}


def test_labels_and_legend_are_there_and_escaped() -> None:
    chart = drawn([("a & <b>", [mark(1.0)])])
    texts = [text.text for text in chart.iter(f"{SVG}text")]
    assert texts[0] == "Errors <rms>"
    assert {"a & <b>", *LOOKS} <= set(texts)
    colours = [shape.get("fill") for shape in chart.iter() if shape.get("class") == "mark"]
    assert colours == ["#111111"]


@pytest.mark.parametrize("values", [[], [0.0], [float("nan")], [1e-320], [1e300, 1e-300]])
def test_no_values_are_too_odd_for_a_chart(values: list[float]) -> None:
    chart = drawn([("a", [mark(value) for value in values])])
    width = float(chart.attrib["width"])
    assert len(places(chart)) == len(values)
    assert all(0 < place < width for place in places(chart).values())
