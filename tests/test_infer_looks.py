"""`efdn-infer` as one that looks: sheets beside bicubic scaling, the error of tiles, and engines compared."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efdn.pictures.reading import read_picture
from efdn.weights import save_network
from engines.tiling.verify import OVERLAPS
from tests.conftest import make_network, noise
from tests.inference_samples import LIMIT, Infer, pixels_of, repeated, run_infer
from tests.picture_samples import KINDS


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


@pytest.fixture
def picture() -> str:
    """An RGB picture of 17x14 pixels."""
    Image.fromarray(noise(14, 17)).save("a.png")
    return "a.png"


def test_a_sheet_shows_the_result_beside_bicubic(infer: Infer) -> None:
    Image.fromarray(noise(100, 120)).save("a.png")
    said = infer("a.png", "--compare", "--json")
    assert said.code == 0, said.err
    assert said.lines[0]["compared_in"] == "a_x2_compare.png"
    sheet = pixels_of("a_x2_compare.png")
    assert sheet.shape[2] == 3
    # Result and sheet are two files; the result is as without the sheet.
    np.testing.assert_array_equal(pixels_of("a_x2.png"), repeated(noise(100, 120)))


@pytest.mark.parametrize("kind", ["png-gray16", "png-rgba16", "tiff-cmyk8", "png-gray1", "png-palette-transparent"])
def test_sheets_are_drawn_of_every_kind(infer: Infer, tmp_path: Path, kind: str) -> None:
    said = infer(KINDS[kind](tmp_path), "--compare", "-o", "out")
    assert said.code == 0, said.err
    (sheet,) = Path("out").glob("*_compare.png")
    assert read_picture(sheet, max_pixels=LIMIT).pixels.shape[2] == 3


def test_pictures_too_large_for_a_sheet_are_refused_before_any_work(
    infer: Infer, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.inference import comparing

    monkeypatch.setattr(comparing, "MOST_PIXELS", 100)
    said = infer(picture, "--compare")
    assert said.code == 1
    assert "too large to be compared, at most 100 are: leave out --compare" in said.err
    assert not Path("a_x2.png").exists()
    assert infer.engine.sides == []


def test_the_error_of_tiles_is_measured(infer: Infer) -> None:
    Image.fromarray(noise(100, 120)).save("a.png")
    said = infer("a.png", "--verify-tiles", "--tile", 80)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "a.png  120x100"
    assert "interior" in lines[2]
    assert [line.split("x")[0].split()[:-1] for line in lines[3:]] == [["8"], ["12"], ["*", "16"], ["24"], ["32"]]
    assert len({len(line) for line in lines[2:]}) == 1
    assert not Path("a_x2.png").exists()


def test_the_error_of_tiles_as_json(infer: Infer) -> None:
    Image.fromarray(noise(100, 120)).save("a.png")
    said = infer("a.png", "--verify-tiles", "--tile", 80, "--tile-overlap", 20, "--json")
    assert said.code == 0, said.err
    (told,) = said.lines
    assert (told["picture"], told["width"], told["height"]) == ("a.png", 120, 100)
    assert [error["overlap"] for error in told["overlaps"]] == sorted({*OVERLAPS, 20})
    for error in told["overlaps"]:
        assert error["tiles"] > 1
        assert max(error["tile"]) <= 80
        assert {"psnr_db", "largest", "levels"} == set(error["interior"]) == set(error["border"])


def test_overlaps_that_tiles_have_no_room_for_are_left_out(infer: Infer) -> None:
    Image.fromarray(noise(100, 120)).save("a.png")
    (told,) = infer("a.png", "--verify-tiles", "--tile", 64, "--json").lines
    assert [error["overlap"] for error in told["overlaps"]] == [8, 12, 16, 24]
    said = infer("a.png", "--verify-tiles", "--tile", 40)
    assert said.code == 1
    assert "no room for 16 pixels of overlap" in said.err


def test_a_picture_of_one_tile_says_how_to_verify(infer: Infer, picture: str) -> None:
    said = infer(picture, "--verify-tiles")
    assert said.code == 1
    assert "give a larger one, or a smaller --tile" in said.err


@pytest.mark.parametrize("options", ["--verify-tiles", "--engine all"])
def test_looking_needs_pictures(infer: Infer, options: str) -> None:
    Path("clip.mp4").write_bytes(b"")
    said = infer("clip.mp4", *options.split())
    assert said.code == 2
    assert f"{options} takes pictures, got videos only" in said.err


def test_the_packaged_model_in_tiles_is_within_a_level(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], photo: Path
) -> None:
    with Image.open(photo) as image:
        image.crop((20, 20, 110, 84)).save("a.png")
    # Overlaps of 24 and 32 have no room in tiles of 58 pixels.
    said = run_infer(monkeypatch, capsys, "a.png", "--verify-tiles", "--tile", 58, "--json")
    assert said.code == 0, said.err
    (told,) = said.lines
    default = next(error for error in told["overlaps"] if error["overlap"] == 16)
    # At the default overlap; on photos of usual size, and with larger tiles, it is better.
    assert default["interior"]["psnr_db"] > 70
    assert default["interior"]["levels"] <= 1
    assert default["border"]["levels"] <= 1


def test_engines_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], picture: str
) -> None:
    save_network(make_network(scale=2), Path("w.safetensors"))
    said = run_infer(monkeypatch, capsys, picture, "--engine", "all", "--model", "w.safetensors")
    assert said.code == 0, said.err
    assert said.out.startswith("a.png  17x14\n  engine ")
    assert re.search(r"^  pytorch +\d+\.\d{3} s .* reference", said.out, re.MULTILINE)
    # Engines that do not read weights say what they would need.
    assert re.search(r"^  onnxruntime-cpu: .* reads ONNX", said.out, re.MULTILINE)
    assert not Path("a_x2.png").exists()


def test_engines_are_compared_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], picture: str
) -> None:
    save_network(make_network(scale=2), Path("w.safetensors"))
    said = run_infer(monkeypatch, capsys, picture, "--engine", "all", "--model", "w.safetensors", "--json")
    assert said.code == 0, said.err
    (told,) = said.lines
    rows = {row["engine"]: row for row in told["engines"]}
    assert rows["pytorch"]["error"] is None
    assert rows["pytorch"]["first_s"] > 0
    assert rows["onnxruntime-cpu"]["error"]


def test_an_unreadable_picture_does_not_stop_looking_at_the_rest(infer: Infer) -> None:
    Path("a.png").write_text("no picture")
    Image.fromarray(noise(100, 120)).save("b.png")
    said = infer("a.png", "b.png", "--verify-tiles", "--tile", 80, "--json")
    assert said.code == 1
    assert "a.png is not a PNG" in said.err
    assert [line["picture"] for line in said.lines] == ["b.png"]


def test_looks_that_exclude_each_other_are_refused(infer: Infer, picture: str) -> None:
    said = infer(picture, "--verify-tiles", "--engine", "all")
    assert said.code == 2
    assert "--verify-tiles" in said.err
    assert "--engine all" in said.err
