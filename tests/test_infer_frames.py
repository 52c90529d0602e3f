"""`efdn-infer --frames all`: every frame of animations, and every page of TIFFs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from efdn.pictures.frames import read_frames, read_loops
from tests.conftest import noise
from tests.inference_samples import LIMIT, Array, Infer, no_parts_in, pixels_of, repeated
from tests.picture_parts import HEIGHT, WIDTH
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
