"""`efdn-infer` on many files: found, named, and told of in lines or as JSON."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import noise
from tests.inference_samples import Infer, files, picture, pixels_of, repeated


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


def test_results_stand_beside_their_pictures(infer: Infer) -> None:
    for index, name in enumerate(("in/a.png", "in/b.jpg", "in/deep/c.png")):
        picture(name, index)
    Path("in/notes.txt").write_text("no picture")
    said = infer("in")
    assert said.code == 0, said.err
    assert files("in") == {"a.png", "b.jpg", "deep/c.png", "notes.txt", "a_x2.png", "b_x2.png"}
    np.testing.assert_array_equal(pixels_of("in/a_x2.png"), repeated(noise(14, 17)))
    assert sorted(line.split("  ")[:2] for line in said.out.splitlines()) == [
        [str(Path("in/a_x2.png")), "34x28"],
        [str(Path("in/b_x2.png")), "34x28"],
    ]
    assert said.err.splitlines()[0] == "engine: fake (repeats pixels), model nearest"
    assert said.err.splitlines()[-1].startswith("efdn-infer: 2 upscaled in ")


def test_trees_are_kept_in_a_folder_of_results(infer: Infer) -> None:
    for index, name in enumerate(("in/a.png", "in/deep/c.png", "in/deep/er/d.bmp")):
        picture(name, index)
    said = infer("in", "-r", "-o", "out", "--ext", "webp")
    assert said.code == 0, said.err
    assert files("out") == {"a_x2.webp", "deep/c_x2.webp", "deep/er/d_x2.webp"}
    np.testing.assert_array_equal(pixels_of("out/deep/c_x2.webp"), repeated(noise(14, 17, 1)))


def test_results_inside_the_folder_are_not_upscaled_again(infer: Infer) -> None:
    picture("in/a.png")
    for _ in range(2):
        said = infer("in", "-r", "-o", "in/out", "--overwrite")
        assert said.code == 0, said.err
        assert files("in") == {"a.png", "out/a_x2.png"}


def test_a_folder_of_results_may_have_a_dot_in_its_name(infer: Infer) -> None:
    picture("in/a.png")
    Path("in/v1.5").mkdir()
    for _ in range(2):
        said = infer("in", "-r", "-o", "in/v1.5", "--suffix", "", "--overwrite")
        assert said.code == 0, said.err
        assert files("in") == {"a.png", "v1.5/a.png"}


def test_results_of_an_earlier_run_are_left_alone(infer: Infer) -> None:
    picture("in/a.png")
    assert infer("in").code == 0
    said = infer("in", "--skip-existing")
    assert said.code == 0, said.err
    assert files("in") == {"a.png", "a_x2.png"}
    assert "0 upscaled, 2 skipped in" in said.err


def test_sheets_of_an_earlier_run_are_left_alone(infer: Infer) -> None:
    picture("in/a.png")
    assert infer("in", "--compare").code == 0
    assert files("in") == {"a.png", "a_x2.png", "a_x2_compare.png"}
    assert infer("in", "--compare", "--overwrite").code == 0
    assert files("in") == {"a.png", "a_x2.png", "a_x2_compare.png"}


@pytest.mark.parametrize(
    ("options", "results"),
    [
        ((), "a_x2.png b_x2.png c_x2.tif"),
        (("--ext", "same"), "a_x2.png b_x2.jpg c_x2.tif"),
        (("--ext", "WEBP", "--color", "rgb"), "a_x2.webp b_x2.webp c_x2.webp"),
        (("--ext", ".tiff"), "a_x2.tiff b_x2.tiff c_x2.tiff"),
        (("--suffix", "-big"), "a-big.png b-big.png c-big.tif"),
        (("--suffix", "", "-o", "out"), "out/a.png out/b.png out/c.tif"),
        (("--scale", "3"), "a_x3.png b_x3.png c_x3.tif"),
        (("-s", "1.5"), "a_x1.5.png b_x1.5.png c_x1.5.tif"),
        (("--size", "40x"), "a_40x.png b_40x.png c_40x.tif"),
        (("--size", "50%"), "a_50pct.png b_50pct.png c_50pct.tif"),
    ],
    ids=str,
)
def test_results_are_named(infer: Infer, options: tuple[str, ...], results: str) -> None:
    picture("a.png")
    picture("b.jpg")
    Image.frombytes("CMYK", (20, 20), noise(20, 20).tobytes() + bytes(400)).save("c.tif")
    said = infer("a.png", "b.jpg", "c.tif", *options)
    assert said.code == 0, said.err
    assert files() - {"a.png", "b.jpg", "c.tif"} == set(results.split())


def test_json_is_a_line_for_each_file_and_a_summary(infer: Infer) -> None:
    picture("in/a.png")
    Path("in/b.png").write_text("no picture")
    picture("in/é 中.png")
    said = infer("in", "--json")
    assert said.code == 1
    *outcomes, last = said.lines
    told = {Path(line["source"]).name: line for line in outcomes}
    assert set(told) == {"a.png", "b.png", "é 中.png"}
    done = told["a.png"]
    assert (done["status"], done["width"], done["height"]) == ("done", 34, 28)
    assert Path(done["target"]) == Path("in/a_x2.png")
    assert done["warnings"] == []
    assert done["seconds"] >= done["infer_s"] > 0
    assert told["b.png"]["status"] == "failed"
    assert "not a PNG" in told["b.png"]["reason"]
    summary = last["summary"]
    assert (summary["done"], summary["failed"], summary["skipped"], summary["cancelled"]) == (2, 1, 0, 0)
    assert summary["interrupted"] is False
    assert 0 <= summary["idle_share"] <= 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_can_be_parsed_in_every_encoding(
    infer: Infer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    names = ["é.png", "中.png", "😀.png"]
    for name in names:
        picture(name)
    out = tmp_path / "out.txt"
    with out.open("w", encoding=encoding) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert infer(*names, "--json").code == 0
        monkeypatch.undo()
    lines = [json.loads(line) for line in out.read_text(encoding=encoding).splitlines()]
    assert sorted(line["source"] for line in lines[:-1]) == sorted(names)


def test_lists_come_on_stdin(infer: Infer) -> None:
    picture("in/a b.png")
    picture("in/deep/é.png")
    said = infer("-", "-o", "out", stdin="in/a b.png\nin/deep/é.png\n".encode())
    assert said.code == 0, said.err
    assert files("out") == {"in/a b_x2.png", "in/deep/é_x2.png"}
    assert infer("-", "-o", "out", "--overwrite", stdin=b"in/a b.png\0").code == 0
    assert infer("-", stdin=b"").code == 1


def test_patterns_are_for_shells_that_leave_them(infer: Infer) -> None:
    for name in ("in/a1.png", "in/a2.png", "in/b1.png"):
        picture(name)
    said = infer("in/a*.png", "-o", "out")
    assert said.code == 0, said.err
    assert files("out") == {"a1_x2.png", "a2_x2.png"}


def test_two_pictures_that_map_to_one_result_are_refused_before_work(infer: Infer) -> None:
    picture("in/a.png")
    picture("in/a.jpg")
    said = infer("in")
    assert said.code == 1
    assert "several pictures would be written to one file" in said.err
    assert "keep their formats with --ext same" in said.err
    assert infer.engine.sides == []
    assert files("in") == {"a.png", "a.jpg"}
    # What it says to do helps.
    assert infer("in", "--ext", "same").code == 0
    assert files("in") == {"a.png", "a.jpg", "a_x2.png", "a_x2.jpg"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.png", "b.png", "-o", "c.png"), "-o c.png is a file's name, but there may be several pictures"),
        (("a.png", "-o", "c.png", "--ext", "jpg"), "-o c.png and --ext .jpg contradict each other"),
        (("a.png", "--suffix", "x/y"), "--suffix must be part of a file's name"),
        (("a.png", "--skip-existing", "--overwrite"), "--skip-existing and --overwrite contradict each other"),
        (("a.png", "--quiet", "--verbose"), "--quiet and --verbose contradict each other"),
        (("-", "-"), "can be given once"),
    ],
    ids=str,
)
def test_names_that_contradict_each_other_are_refused(infer: Infer, arguments: tuple[str, ...], said: str) -> None:
    picture("a.png")
    picture("b.png")
    refused = infer(*arguments)
    assert refused.code == 2
    assert said in refused.err
    assert files() == {"a.png", "b.png"}


def test_a_file_of_its_own_name_or_a_folder_is_written_to(infer: Infer) -> None:
    picture("a.png")
    assert infer("a.png", "-o", "named.webp").code == 0
    assert infer("a.png", "-o", "made/here").code == 0
    Path("there").mkdir()
    assert infer("a.png", "-o", "there").code == 0
    assert files() == {"a.png", "named.webp", "made/here/a_x2.png", "there/a_x2.png"}


def test_quiet_says_only_what_failed(infer: Infer) -> None:
    picture("a.png")
    Path("b.png").write_text("no picture")
    said = infer("a.png", "b.png", "--quiet")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "efdn-infer:   b.png is not a PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF picture, whatever its name says"
    ]
    assert infer("a.png", "--quiet", "--overwrite").err == ""


def test_verbose_says_how_long_each_stage_took(infer: Infer) -> None:
    picture("a.png")
    said = infer("a.png", "--verbose")
    (line,) = [line for line in said.err.splitlines() if "upscaled" in line and "a.png: done" in line]
    assert "read 0." in line
    assert "written 0." in line


def test_jobs_do_not_change_results(infer: Infer) -> None:
    for index in range(5):
        picture(f"in/{index}.png", index)
    for jobs in (1, 2, 7):
        assert infer("in", "-o", f"out{jobs}", "-j", jobs).code == 0
        for index in range(5):
            np.testing.assert_array_equal(pixels_of(f"out{jobs}/{index}_x2.png"), repeated(noise(14, 17, index)))
    assert "jobs must be at least 1, got 0" in infer("in", "-j", 0).err
