"""`efdn-infer` as a user meets it: options that change the result, and those that are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import engines.inference.checks
from efdn.errors import EngineError
from engines.options import RunOptions
from tests.conftest import noise
from tests.inference_samples import FakeEngine, Infer, fixed, pixels_of, repeated, run_infer


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


@pytest.fixture
def picture() -> str:
    """An RGB picture of 17x14 pixels."""
    Image.fromarray(noise(14, 17)).save("a.png")
    return "a.png"


@pytest.mark.parametrize("others", [(), ("--verify-tiles",), ("--engine", "all")])
def test_the_engine_has_the_threads_that_were_asked_for(
    infer: Infer, picture: str, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...]
) -> None:
    seen: list[object] = []

    def choose(*given: object, **_: object) -> None:
        seen.extend(one.threads for one in given if isinstance(one, RunOptions))
        raise EngineError("that is enough")

    monkeypatch.setattr("engines.select.choose_engine", choose)
    monkeypatch.setattr("engines.comparison.engines.compare_engines", choose)
    said = run_infer(infer.patch, infer.capture, picture, "--threads", 1, *others)
    assert (said.code, seen) == (1, [1])


def test_sizes_and_scales_are_those_of_the_picture(infer: Infer, picture: str) -> None:
    sizes = {("-s", "2"): (34, 28), ("-s", "3"): (51, 42), ("-s", "0.5"): (9, 7), ("--size", "100x"): (100, 82)}
    sizes |= {("--size", "x28"): (34, 28), ("--size", "40x40"): (40, 40), ("--size", "150%"): (26, 21)}
    for options, size in sizes.items():
        said = infer(picture, *options, "-o", "out.png", "--overwrite")
        assert said.code == 0, said.err
        with Image.open("out.png") as image:
            assert image.size == size
    # Twice is what the network gives: nothing is resized.
    infer(picture, "-s", "2", "-o", "same.png")
    np.testing.assert_array_equal(pixels_of("same.png"), repeated(noise(14, 17)))


def test_depth_can_be_chosen(infer: Infer) -> None:
    Image.fromarray(noise(14, 17)[..., 0]).save("gray.png")
    for bits, mode in ((1, "1"), (8, "L"), (16, "I;16")):
        said = infer("gray.png", "--bits", bits, "-o", f"{bits}.png")
        assert said.code == 0, said.err
        with Image.open(f"{bits}.png") as image:
            assert image.mode == mode
    np.testing.assert_array_equal(pixels_of("16.png"), repeated(noise(14, 17)[..., 0]).astype(int) * 257)


def test_colours_and_background_can_be_chosen(infer: Infer) -> None:
    rgba = np.dstack([noise(14, 17), np.zeros((14, 17), np.uint8)])
    Image.fromarray(rgba).save("a.png")
    assert infer("a.png", "--background", "#ff8000", "-o", "b.jpg", "--quality", 100).code == 0
    assert np.abs(pixels_of("b.jpg") - np.array([255, 128, 0])).max() <= 2
    Image.fromarray(noise(14, 17)[..., 0]).save("gray.png")
    assert infer("gray.png", "--color", "rgb", "-o", "rgb.png").code == 0
    with Image.open("rgb.png") as image:
        assert image.mode == "RGB"


def test_opacity_can_be_left_to_bicubic_scaling(infer: Infer) -> None:
    Image.fromarray(np.dstack([noise(14, 17), noise(14, 17)[..., 0] | 1])).save("a.png")
    assert infer("a.png", "-o", "efdn.png").code == 0
    ran = len(infer.engine.sides)
    assert infer("a.png", "-o", "bicubic.png", "--alpha", "bicubic").code == 0
    assert len(infer.engine.sides) == ran + ran // 2
    assert (pixels_of("efdn.png")[..., 3] != pixels_of("bicubic.png")[..., 3]).any()


def test_tiles_padding_and_overlap_reach_the_engine(infer: Infer) -> None:
    Image.fromarray(noise(100, 120)).save("a.png")
    assert infer("a.png", "--tile", 64, "--tile-overlap", 8, "--overwrite").code == 0
    assert max(max(side) for side in infer.engine.sides) <= 64
    np.testing.assert_array_equal(pixels_of("a_x2.png"), repeated(noise(100, 120)))
    infer.engine.sides.clear()
    assert infer("a.png", "--tile", 0, "--pad", 0, "--overwrite").code == 0
    assert infer.engine.sides == [(100, 120)]
    said = infer("a.png", "--tile", 30, "--overwrite")
    assert said.code == 1
    assert "tiles of 30 pixels have no room for 16 pixels of overlap and 8 of padding: expected at least 44" in said.err


def test_pictures_larger_than_a_fixed_shape_are_cut(infer: Infer) -> None:
    infer.engine = FakeEngine(2, (fixed(48, 64),))
    Image.fromarray(noise(70, 90)).save("a.png")
    assert infer("a.png").code == 0
    assert set(infer.engine.sides) == {(48, 64)}
    np.testing.assert_array_equal(pixels_of("a_x2.png"), repeated(noise(70, 90)))
    said = infer("a.png", "--tile", 0, "--overwrite")
    assert said.code == 1
    assert "leave out --tile 0" in said.err


def test_an_engine_of_bytes_refuses_16_bits_before_any_work(infer: Infer) -> None:
    infer.engine = FakeEngine(2, takes="uint8", gives="uint8")
    Image.new("I;16", (20, 20)).save("a.png")
    said = infer("a.png")
    assert said.code == 1
    assert "takes and gives 8 bits a sample" in said.err
    assert infer.engine.sides == []
    assert infer("a.png", "--bits", 8).code == 0
    # Of several, what cannot be done is said first, without it having been read.
    Image.fromarray(noise(14, 17)).save("b.png")
    first, second, _ = infer("b.png", "a.png", "--json", "--overwrite").lines
    assert (first["source"], first["status"], first["read_s"]) == ("a.png", "failed", 0)
    assert (second["source"], second["status"]) == ("b.png", "done")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("--bits 12", 2, "bits must be 1, 8 or 16, got 12"),
        ("--bits 1", 1, "--bits 1 is for gray pictures without alpha"),
        ("--alpha lanczos", 2, "--alpha takes efdn or bicubic, got 'lanczos'"),
        ("--color sepia", 2, "--color takes keep or rgb, got 'sepia'"),
        ("--background nocolour", 2, "a background is a colour such as white or #ffee00, got 'nocolour'"),
        ("--frames 3-5", 2, "--frames takes 'all' for animations, or A:B for videos such as 0:100, got '3-5'"),
        ("--frames 5:2", 2, "0 <= A < B, got 5:2"),
        ("--scale 0", 2, "--scale takes a number above 0, at most 64, got 0"),
        ("--scale 65", 2, "--scale takes a number above 0, at most 64, got 65"),
        ("--scale nan", 2, "--scale takes a number above 0, at most 64, got nan"),
        ("--scale 2 --size 40x", 2, "--scale and --size contradict each other"),
        ("--size big", 2, "expected a size such as 1920x1080"),
        ("--size 0x5", 2, "expected a size of 1 to 1000000 pixels"),
        ("--quality 0", 2, "quality must be 1 to 100, got 0"),
        ("--quality 90", 1, "PNG is lossless and takes no quality; leave it out, or choose .jpg, .webp or .avif"),
        ("--compression 10", 2, "compression must be 0 to 9, got 10"),
        ("--ext jpg --compression 3", 1, "JPEG takes no compression effort"),
        ("--tile -1", 2, "at least 0 pixels, got -1"),
        ("--tile-overlap 600", 2, "0 to 512 pixels, got 600"),
        ("--pad -1", 2, "0 to 512 pixels, got -1"),
        ("--jobs 0", 2, "--jobs must be at least 1, got 0"),
        ("--threads 0", 2, "--threads must be 1 to "),
        ("--threads 100000", 2, "the cores that may be used here, got 100000"),
        ("--max-pixels 0", 2, "max_pixels must be at least 1, got 0"),
        ("--max-pixels 100", 1, "17x14 pixels, more than the limit of 100"),
        ("--ext gif", 2, "--ext takes png, "),
        ("--ext doc", 2, "or same, got 'doc'"),
        ("--compare --frames all", 2, "compare shows one picture, and all frames are asked for"),
        ("--crf 99", 2, "crf must be 0 to 63"),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_line(
    infer: Infer, picture: str, options: str, code: int, said: str
) -> None:
    result = infer(picture, *options.split())
    assert result.code == code, result.err
    assert result.out == ""
    (line,) = [line for line in result.err.splitlines() if not line.startswith("engine: ")]
    assert line.startswith("efdn-infer: ")
    assert said in line
    assert infer.engine.sides == []
    assert [path.name for path in Path().iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "options", ["--frames 0:2", "--codec libx264", "--crf 20", "--preview", "--pixel-format yuv420p"]
)
def test_options_of_videos_are_not_dropped_silently_on_pictures(infer: Infer, picture: str, options: str) -> None:
    result = infer(picture, *options.split())
    assert result.code != 0
    assert options.split()[0] in result.err
    assert "video" in result.err
    assert infer.engine.sides == []


def test_results_that_take_more_memory_than_is_free_are_refused_before_any_work(
    infer: Infer, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.inference.checks, "free_bytes", lambda: 1000)
    said = infer(picture, "--ext", "webp")
    assert said.code == 1
    assert "of memory for a picture of that size" in said.err
    assert "choose .png or .tif" in said.err
    assert infer.engine.sides == []
    assert infer(picture).code == 0


def test_names_with_line_breaks_stay_on_a_line(infer: Infer) -> None:
    Image.fromarray(noise(14, 17)).save("a\nb.png")
    said = infer("a\nb.png", "--verbose")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == 1
    told: dict[str, Any] = json.loads(infer("a\nb.png", "--json", "--overwrite").out.splitlines()[0])
    assert told["source"] == "a\nb.png"
