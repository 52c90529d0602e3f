"""The page about a plan: what it shows, and that it is written whole or not at all."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from efdn.errors import OutputError
from efdn.html import Segment, stacked_chart
from export.plan import Kernel, Plan, plan_from_build_log
from export.plan_page import parts_of, plan_page, write_plan
from tests.test_plan import LOG

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def plan() -> Plan:
    return plan_from_build_log(LOG)


def test_kernels_without_a_block_stand_in_head_or_tail(plan: Plan) -> None:
    parts = {part: [index for index, _ in members] for part, members in parts_of(plan).items()}
    assert parts == {"head": [0, 1], "body.0": [2, 3, 4, 5], "body.10": [6], "tail": [7, 8]}
    between = Plan(kernels=(*plan.kernels[:3], Kernel(name="f/Conv", kind="correlation"), *plan.kernels[6:]))
    assert [len(members) for members in parts_of(between).values()] == [2, 2, 1, 2]
    assert list(parts_of(Plan(kernels=(Kernel(name="a", kind="b"),)))) == ["network"]


def picture_of(content: str) -> ElementTree.Element:
    found = re.search(r"<svg.*?</svg>", content, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])


def test_page_shows_one_box_for_each_kernel(plan: Plan) -> None:
    content = plan_page(plan, "a <plan>", [("GPU", "sm86 & others")])
    boxes = [box for box in picture_of(content).findall(f"{SVG}rect") if box.get("class") == "segment"]
    assert len(boxes) == len(plan.kernels)
    titles = [box.findtext(f"{SVG}title") or "" for box in boxes]
    assert titles[3].splitlines() == [
        "#3 copy: __myl_Conc_myl0_3",
        "reads 1.4 kB: 1x11x8x8 half, c",
        "writes 1.5 kB: 1x12x8x8 half, e",
        "made of body.0/stride/Conv",
    ]
    assert "a &lt;plan&gt;" in content
    assert "sm86 &amp; others" in content
    assert "0.32 kB for each pixel of the input" in content
    # The page stands alone: nothing is loaded from elsewhere.
    assert not re.search(r"<script|<link|\bsrc=|url\(", content)


def test_without_bytes_boxes_are_equally_wide() -> None:
    dynamic = [line.replace("8,8", "-1,-1") for line in LOG]
    content = plan_page(plan_from_build_log(dynamic), "dynamic", [])
    boxes = [box for box in picture_of(content).findall(f"{SVG}rect") if box.get("class") == "segment"]
    assert len({box.get("width") for box in boxes}) == 1
    assert "all boxes are equally wide" in content


def test_page_of_an_empty_plan_is_a_page() -> None:
    content = plan_page(plan_from_build_log([]), "empty", [])
    assert "All kernels (0)" in content
    assert "no kernel only moves data" in content


def test_segments_share_one_scale_and_none_vanishes() -> None:
    def segment(length: float) -> Segment:
        return Segment(length=length, kind="a", tooltip="<&>")

    rows = [("one", [segment(600), segment(300)], "x"), ("two", [segment(0), segment(450)], "y")]
    chart = ElementTree.fromstring(stacked_chart("Bytes", rows, {"a": "#123456"}))
    first, second, third, fourth = (
        (float(box.attrib["x"]), float(box.attrib["width"]))
        for box in chart.findall(f"{SVG}rect")
        if box.get("class") == "segment"
    )
    assert first[1] + 1 == pytest.approx(2 * (second[1] + 1), abs=0.2)
    assert fourth[1] + 1 == pytest.approx(0.75 * (first[1] + 1), abs=0.2)
    assert third[1] > 0
    assert second[0] == pytest.approx(first[0] + first[1] + 1, abs=0.2)


def test_json_and_page_are_written_together(plan: Plan, tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", plan, "the plan", [("GPU", "sm86")])
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", "plan.html"}
    content = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert (content["title"], content["facts"]) == ("the plan", {"GPU": "sm86"})
    assert content["totals"]["kernels"] == 9


def test_neither_file_is_written_where_one_cannot_be(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "plan.html").mkdir()
    with pytest.raises(OutputError, match="this is a folder"):
        write_plan(tmp_path / "plan.json", plan, "x", [])
    with pytest.raises(OutputError, match=r"end it in \.json"):
        write_plan(tmp_path / "other.HTML", plan, "x", [])
    with pytest.raises(OutputError, match="does not exist"):
        write_plan(tmp_path / "none" / "plan.json", plan, "x", [])
    assert [path.name for path in tmp_path.iterdir()] == ["plan.html"]
