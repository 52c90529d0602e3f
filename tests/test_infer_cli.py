"""`efdn-infer` as a user meets it: options that change the result, and those that look rather than upscale."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

import engines.inference.checks
from efdn.errors import EngineError
from efdn.pictures.frames import read_frames, read_loops
from efdn.pictures.reading import read_picture
from efdn.weights import save_network
from engines.options import RunOptions
from engines.tiling.verify import OVERLAPS
from tests.conftest import make_network, noise
from tests.inference_samples import Array, FakeEngine, Infer, fixed, no_parts_in, repeated, run_infer
from tests.picture_parts import HEIGHT, WIDTH
from tests.picture_samples import KINDS

LIMIT = 1 << 24


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


@pytest.fixture
def picture() -> str:
    """An RGB picture of 17x14 pixels."""
    Image.fromarray(noise(14, 17)).save("a.png")
    return "a.png"


def pixels_of(path: str) -> Array:
    """As Pillow reads it."""
    with Image.open(path) as image:
        return np.asarray(image)


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


@pytest.mark.parametrize(("kind", "ending"), [("apng", ".png"), ("webp-animated", ".webp"), ("gif-animated", ".webp")])
def test_all_frames_of_an_animation_with_their_times(infer: Infer, tmp_path: Path, kind: str, ending: str) -> None:
    source = KINDS[kind](tmp_path)
    said = infer(source, "--frames", "all", "--json")
    assert said.code == 0, said.err
    target = source.with_name(f"{kind}_x2{ending}")
    assert said.lines[0]["target"] == str(target)
    before, after = (list(read_frames(path, max_pixels=LIMIT)) for path in (source, target))
    assert [frame.duration_ms for frame in after] == [frame.duration_ms for frame in before] == [40, 80, 120]
    assert read_loops(target, max_pixels=LIMIT) == read_loops(source, max_pixels=LIMIT)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new.picture.pixels, repeated(old.picture.pixels))
    assert "only the first" not in said.err


def test_all_frames_of_an_avif(infer: Infer, tmp_path: Path) -> None:
    source = KINDS["avif-animated"](tmp_path)
    said = infer(source, "--frames", "all", "-o", "out.png")
    assert said.code == 0, said.err
    with Image.open("out.png") as image:
        assert (image.size, getattr(image, "n_frames", 1)) == ((2 * WIDTH, 2 * HEIGHT), 3)
        assert [round(frame.info["duration"]) for frame in ImageSequence.Iterator(image)] == [100, 100, 100]


def test_all_pages_of_a_tiff(infer: Infer, tmp_path: Path) -> None:
    source = KINDS["tiff-pages"](tmp_path)
    said = infer(source, "--frames", "all")
    assert said.code == 0, said.err
    before = list(read_frames(source, max_pixels=LIMIT))
    after = list(read_frames(tmp_path / "tiff-pages_x2.tif", max_pixels=LIMIT))
    assert len(after) == 3
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new.picture.pixels, repeated(old.picture.pixels))


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("apng", "out.jpg", "JPEG holds no alpha"),
        (
            "gif-animated",
            "out.bmp",
            "BMP holds no animation; choose one of .png, .webp, .avif, or only the first frame",
        ),
        ("apng", "out.tif", "TIFF holds no animation"),
        ("tiff-pages", "out.png", "PNG holds no pages; choose .tif, or only the first page"),
        ("tiff-pages", "out.jpg", "JPEG holds no pages"),
    ],
)
def test_frames_that_a_format_does_not_hold_are_refused_before_any_work(
    infer: Infer, tmp_path: Path, kind: str, target: str, said: str
) -> None:
    result = infer(KINDS[kind](tmp_path), "--frames", "all", "-o", target)
    assert result.code == 1
    assert said in result.err
    assert infer.engine.sides == []
    assert not Path(target).exists()


@pytest.mark.parametrize("kind", ["apng", "tiff-pages"])
def test_quality_of_lossless_frames_is_refused_before_any_work(infer: Infer, tmp_path: Path, kind: str) -> None:
    result = infer(KINDS[kind](tmp_path), "--frames", "all", "--quality", 90)
    assert result.code == 1
    assert "is lossless and takes no quality" in result.err
    assert infer.engine.sides == []


def test_all_frames_of_a_still_picture_is_the_picture(infer: Infer, picture: str) -> None:
    assert infer(picture, "--frames", "all").code == 0
    np.testing.assert_array_equal(pixels_of("a_x2.png"), repeated(noise(14, 17)))


def test_an_interruption_in_an_animation_leaves_nothing(infer: Infer, tmp_path: Path) -> None:
    source = KINDS["apng"](tmp_path)

    def stop(y: Array) -> Array:
        if len(infer.engine.sides) == 3:
            raise KeyboardInterrupt
        return y

    infer.engine.corrupt = stop
    said = infer(source, "--frames", "all")
    assert said.code == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["apng.png"]
    assert no_parts_in(tmp_path)


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


def test_names_with_line_breaks_stay_on_a_line(infer: Infer) -> None:
    Image.fromarray(noise(14, 17)).save("a\nb.png")
    said = infer("a\nb.png", "--verbose")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == 1
    told: dict[str, Any] = json.loads(infer("a\nb.png", "--json", "--overwrite").out.splitlines()[0])
    assert told["source"] == "a\nb.png"
