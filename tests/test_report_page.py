"""The page about a verification: its verdict, what it says, and that it is written whole or not at all."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from efdn.errors import OutputError
from export.options import OnnxOptions
from export.report import Report
from export.report_json import report_to_json
from export.report_page import report_page, verdict_of, write_report
from export.report_ranges import headroom_text
from tests.report_samples import (
    CLOSE,
    EQUAL,
    FAR,
    INF,
    LOST,
    NAN,
    ROUNDED,
    Reader,
    check,
    failing,
    make_report,
    row,
    tensor,
)


@pytest.fixture
def report() -> Report:
    return make_report()


def test_all_holding_is_said_in_one_sentence(report: Report) -> None:
    kind, headline, _ = verdict_of(report)
    assert (kind, headline) == ("good", "All 3 stages hold on all 2 pictures.")
    content = report_page(report, "x", [])
    assert '<div class="verdict good"><strong>All 3 stages hold on all 2 pictures.</strong>' in content
    assert "\N{BALLOT X}" not in content


def test_first_failure_is_named_with_what_overflows(report: Report) -> None:
    lost = check("onnx fp16, uint8", "photo", LOST, FAR, overflow="body.3/<Conv>")
    failed = failing(report, lost)
    kind, headline, text = verdict_of(failed)
    assert kind == "bad"
    assert headline.startswith(
        "Stage 'onnx fp16, uint8' is the first to fail, on picture 'photo': values are not finite"
    )
    assert "8-bit difference 64, at most 1 allowed" in headline
    assert headline.endswith("; the first tensor that overflows is body.3/<Conv>.")
    assert text.startswith("1 of 3 stages fail.")
    assert "--keep-fp32" in text
    content = report_page(failed, "x", [])
    assert '<div class="verdict bad"><strong>Stage &#x27;onnx fp16, uint8&#x27; is the first to fail' in content
    assert "photo: 1 of 3 stages fail, onnx fp16, uint8 first" in content
    assert "b: all stages hold" in content


def test_a_pass_is_told_from_a_reference_that_rounds(report: Report) -> None:
    _, headline, text = verdict_of(failing(report, check("fold", "photo", EQUAL, FAR)))
    assert headline.endswith("max error 2.50e-01 of range, at most 1e-04 allowed (from PyTorch FP32).")
    assert "it is PyTorch in FP32 that departs" in text
    _, headline, text = verdict_of(failing(report, check("fold", "photo", CLOSE, CLOSE)))
    assert headline.endswith("max error 3.00e-07 of range, at most 1e-09 allowed (from the stage before).")
    assert "this pass changes what the network computes" in text
    _, _, text = verdict_of(failing(report, check("onnx fp32", "photo", FAR, FAR)))
    assert "the file computes something else" in text


def test_an_overflow_that_does_not_show_is_a_warning(report: Report) -> None:
    hidden = check("onnx fp16, uint8", "photo", ROUNDED, ROUNDED, overflow="body.1/Exp")
    kind, headline, _ = verdict_of(failing(report, hidden))
    assert kind == "warn"
    assert headline.startswith(
        "All 3 stages hold on all 2 pictures, but in stage 'onnx fp16, uint8' on picture 'photo'"
    )
    cell = row(report_page(failing(report, hidden), "x", []), "onnx fp16, uint8")[1]
    assert cell == '<td class="words warn long">\N{CHECK MARK} yes, but body.1/Exp overflows</td>'


def test_nothing_checked_does_not_hold(report: Report) -> None:
    empty = replace(report, checks=(), pictures=(), tightest=(), divergence=())
    assert verdict_of(empty)[0] == "bad"
    assert report_to_json(empty)["holds"] is False
    assert "Nothing was checked" in report_page(empty, "x", [])


def test_names_are_escaped_and_the_page_stands_alone(report: Report) -> None:
    lost = check("onnx fp16, uint8", "a <black> & b", LOST, LOST, overflow="<b>")
    odd = failing(replace(report, tightest=(tensor("<i>", 1.0),), divergence=(("<u>/Conv", 0.1),)), lost)
    content = report_page(odd, "a <title> & more", [("<weights>", '"x" & <y>')])
    reader = Reader(content)
    assert not reader.open
    assert not {"black", "b", "i", "u", "weights", "y", "gpu", "script", "link", "iframe", "a"} & {
        tag for tag, _ in reader.elements
    }
    assert "<title>a &lt;title&gt; &amp; more</title>" in content
    assert "TensorRT: no &lt;GPU&gt; here" in content
    without_names = re.sub(r'xmlns="[^"]*"', "", content)
    assert not re.search(r"https?:|//\w+\.|url\(|@import|\bhref=|\bsrc=\"(?!data:)", without_names)


def test_facts_of_the_caller_come_first_and_win(report: Report) -> None:
    content = report_page(report, "x", [("weights", "w.pth"), ("opset", "20, by default")])
    facts = re.findall(r'<tr><td>([^<]*)</td><td class="words">([^<]*)</td></tr>', content)
    assert facts[:5] == [
        ("weights", "w.pth"),
        ("opset", "20, by default"),
        ("precision", "fp16"),
        ("input and output", "uint8"),
        ("passes", "sum_head_repeats, fold_scale"),
    ]


def test_growth_and_headroom_are_told(report: Report) -> None:
    content = report_page(report, "x", [])
    assert "The error is largest after body.0, 0.40%." in content
    assert "up to 0.05%" in content  # 2^-11
    assert headroom_text(report.tightest) == (
        "The nearest to the limit is tail/Conv with 655.04: its values could be 100 times as large before they "
        "overflow float16."
    )
    assert "<td>tail/Conv, DepthToSpace</td>" in content
    lost = replace(
        report,
        tightest=(tensor("a", NAN), tensor("b", INF), tensor("c", 5.0)),
        divergence=(("head/Conv", 1e-4), ("body.0/Add", NAN)),
    )
    assert headroom_text(lost.tightest) == (
        "No headroom is left: values of a are not finite, nor are those of 1 more of these."
    )
    content = report_page(lost, "x", [])
    assert "body.0 is the first that puts out values that are not finite." in content
    assert "nan" not in re.sub(r"data:image[^\"]*", "", content)


def test_single_precision_says_nothing_of_half(report: Report) -> None:
    single = replace(report, options=OnnxOptions(), tightest=(), divergence=())
    content = report_page(single, "x", [])
    assert "half precision" not in content
    assert "Headroom" not in content
    assert "How the error grows" not in content


def test_page_and_json_are_written_into_a_folder_that_is_made(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    assert write_report(folder, report, "the title", [("weights", "w.pth")]) == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {"index.html", "report.json"}
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert content == {"title": "the title", "facts": {"weights": "w.pth"}, **report_to_json(report)}
    assert (folder / "index.html").read_text(encoding="utf-8") == report_page(
        report, "the title", [("weights", "w.pth")]
    )
    write_report(folder, report, "another", [])
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["title"] == "another"
    assert "another" in (folder / "index.html").read_text(encoding="utf-8")


def test_what_is_in_the_way_is_one_line(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="expected a folder, this is a file") as found:
        write_report(tmp_path / "file", report, "x", [])
    assert "\n" not in str(found.value)
    with pytest.raises(OutputError, match="cannot make the folder") as found:
        write_report(tmp_path / "file" / "inner" / "report", report, "x", [])
    assert "\n" not in str(found.value)
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["report.json", "index.html"])
def test_neither_is_written_where_one_cannot_be(report: Report, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=rf"{re.escape(name)}: expected a file name, this is a folder"):
        write_report(tmp_path, report, "x", [])
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("writes_before", [0, 1])
def test_a_disk_that_fills_leaves_nothing(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes_before: int
) -> None:
    written: list[Path] = []
    write_text = Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        written.append(path)
        write_text(path, text[:100], **options)
        if len(written) > writes_before:
            raise OSError(28, "No space left on device")
        return len(text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="no space left on device"):
        write_report(tmp_path / "new" / "report", report, "x", [])
    assert len(written) == writes_before + 1
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_what_was_there(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(tmp_path, report, "old", [])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(*arguments: object) -> None:
        raise RuntimeError("on the way")

    monkeypatch.setattr("export.report_page.report_to_json", broken)
    with pytest.raises(RuntimeError, match="on the way"):
        write_report(tmp_path, report, "new", [])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
