"""Animations and pages: every frame comes back, and nothing half-written is left."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from efdn.errors import OutputError
from efdn.pictures.animation_writer import check_pages, open_animation, open_pages
from efdn.pictures.picture import NOTHING, Color, Layout, Metadata, Pixels
from efdn.pictures.png.animation import changed_rectangle, delay
from efdn.pictures.rows import DEFAULT_SAVING, SaveOptions
from tests.picture_writing_samples import full_metadata, pixels_of, rgb_profile

RGBA = Layout(width=61, height=43, color=Color.RGB, alpha=True)
RGB = Layout(width=61, height=43, color=Color.RGB)
DURATIONS_MS = [40, 100, 70, 500]
ENDINGS = [".png", ".webp", ".avif"]


def frames_of(layout: Layout) -> list[Pixels]:
    """Four: two with a part that differs, and one that is the same again."""
    first = pixels_of(layout)
    second, third = first.copy(), pixels_of(layout, seed=1)
    second[5:9, 7:20, 0] ^= 3
    return [first, second, second, third]


def write(
    path: Path, layout: Layout, metadata: Metadata = NOTHING, options: SaveOptions = DEFAULT_SAVING, loop: int = 0
) -> list[Pixels]:
    frames = frames_of(layout)
    with open_animation(path, layout, metadata, options, loop=loop) as writer:
        for pixels, duration_ms in zip(frames, DURATIONS_MS, strict=True):
            writer.add(pixels, duration_ms)
    return frames


def read(path: Path, mode: str) -> tuple[list[Pixels], list[float]]:
    frames, durations = [], []
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
            frames.append(np.asarray(frame.convert(mode)))
            durations.append(frame.info["duration"])
    return frames, durations


@pytest.mark.parametrize("layout", [RGBA, RGB])
@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_and_times_come_back(tmp_path: Path, ending: str, layout: Layout) -> None:
    path = tmp_path / f"moving{ending}"
    frames = write(path, layout)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    found, durations_ms = read(path, "RGBA" if layout.alpha else "RGB")
    assert sum(durations_ms) == sum(DURATIONS_MS)
    if ending == ".webp":
        # Equal frames become one.
        frames.pop(1)
    assert len(found) == len(frames)
    for given, back in zip(frames, found, strict=True):
        if ending == ".png":
            np.testing.assert_array_equal(back, given)
        else:
            # WebP's animations do not keep colours that nobody sees; AVIF is lossy.
            seen = given[..., 3] > 0 if layout.alpha else np.ones(given.shape[:2], bool)
            error = np.abs(back.astype(int) - given)[seen]
            assert error.mean() <= (0 if ending == ".webp" else 3)


@pytest.mark.parametrize("ending", ENDINGS)
def test_metadata_comes_with_them(ending: str) -> None:
    path = Path(f"moving{ending}")
    write(path, RGB, full_metadata())
    with Image.open(path) as image:
        image.load()
        assert image.info["icc_profile"] == rgb_profile()
        assert image.getexif()[0x013B] == "Ada"


@pytest.mark.parametrize("ending", [".png", ".webp"])
@pytest.mark.parametrize("loop", [0, 3])
def test_the_number_of_showings_comes_back(ending: str, loop: int) -> None:
    path = Path(f"moving{ending}")
    write(path, RGB, loop=loop)
    with Image.open(path) as image:
        assert image.info["loop"] == loop


def test_16_bit_gray_frames_come_back_in_png() -> None:
    layout = Layout(width=20, height=10, color=Color.GRAY, bits=16)
    write(Path("moving.png"), layout)
    with Image.open("moving.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels_of(layout)[..., 0])


def test_one_frame_is_an_animation_too() -> None:
    for ending in ENDINGS:
        with open_animation(Path(f"one{ending}"), RGB) as writer:
            writer.add(pixels_of(RGB), 100)
        with Image.open(f"one{ending}") as image:
            assert image.size == (61, 43)


def test_of_an_animated_png_only_what_changes_is_written() -> None:
    before = np.zeros((30, 40, 3), np.uint8)
    after = before.copy()
    assert changed_rectangle(before, after) == (0, 1, 0, 1)
    after[7, 9] = after[20, 5] = 1
    assert changed_rectangle(before, after) == (7, 21, 5, 10)


@pytest.mark.parametrize(
    ("duration_ms", "expected"),
    [(40, (1, 25)), (1000 / 30, (1, 30)), (0, (0, 1)), (70_123, (7012, 100)), (1e9, (65535, 1))],
)
def test_times_are_fractions_of_16_bits(duration_ms: float, expected: tuple[int, int]) -> None:
    above, below = delay(duration_ms)
    assert (above, below) == expected or above / below == pytest.approx(expected[0] / expected[1], rel=1e-4)
    assert 0 <= above < 65536
    assert 0 < below < 65536


def test_a_long_animated_png_takes_the_memory_of_a_few_frames() -> None:
    layout = Layout(width=400, height=400, color=Color.RGB)
    random = np.random.default_rng(0)
    tracemalloc.start()
    try:
        with open_animation(Path("long.png"), layout) as writer:
            for _ in range(40):
                writer.add(random.integers(0, 256, (400, 400, 3), np.uint8), 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # All frames have 19 MB, one has half a megabyte.
    assert peak < 8 * 2**20


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_leaves_nothing_and_the_old_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"moving{ending}"
    path.write_bytes(b"the old one")

    def with_a_wrong_frame() -> None:
        with open_animation(path, RGB) as writer:
            writer.add(pixels_of(RGB), 100)
            writer.add(pixels_of(RGBA), 100)

    def without_frames() -> None:
        with open_animation(path, RGB):
            pass

    for act, said in ((with_a_wrong_frame, r"expected a frame of \(43, 61, 3\)"), (without_frames, "got none")):
        with pytest.raises(OutputError, match=said):
            act()
        assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [(path.name, b"the old one")]


@pytest.mark.parametrize("ending", [".jpg", ".tif", ".bmp"])
def test_formats_without_animation_are_refused_with_others_named(ending: str) -> None:
    with pytest.raises(OutputError, match=r"holds no animation; choose one of \.png, \.webp, \.avif"):
        write(Path(f"moving{ending}"), RGB)


def test_pages_of_every_size_come_back(tmp_path: Path) -> None:
    layouts = [
        RGB,
        Layout(width=9, height=200, color=Color.GRAY, bits=16),
        RGBA,
        Layout(width=5, height=5, color=Color.CMYK),
    ]
    for raw_bytes in (0, 2**33):
        with open_pages(tmp_path / "pages.tif", raw_bytes=raw_bytes) as writer:
            for layout in layouts:
                writer.page(layout, full_metadata()).write(pixels_of(layout))
        with tifffile.TiffFile(tmp_path / "pages.tif") as file:
            assert file.is_bigtiff == (raw_bytes > 0)
            for page, layout in zip(file.pages, layouts, strict=True):
                found = page.asarray()
                np.testing.assert_array_equal(found.reshape(*found.shape[:2], -1), pixels_of(layout))
                assert page.tags[34675].value == rgb_profile()
        with Image.open(tmp_path / "pages.tif") as image:
            assert image.n_frames == 4


def test_an_unfinished_page_leaves_nothing(tmp_path: Path) -> None:
    def write_pages(last: int) -> None:
        with open_pages(tmp_path / "pages.tif") as writer:
            for rows in (43, last):
                writer.page(RGB).write(pixels_of(RGB)[:rows])

    with pytest.raises(OutputError, match="expected 43 rows, got 20"):
        write_pages(20)
    with pytest.raises(OutputError, match="expected pages, got none"), open_pages(tmp_path / "pages.tif"):
        pass
    with pytest.raises(OutputError, match=r"PNG holds no pages; choose \.tif"), open_pages(tmp_path / "pages.png"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg", ".avif"])
def test_formats_without_pages_are_refused_before_any_work(ending: str) -> None:
    with pytest.raises(OutputError, match=r"holds no pages; choose \.tif, or only the first page"):
        check_pages(Path(f"pages{ending}"), RGB)
    assert check_pages(Path("pages.tif"), RGB).name == "TIFF"


@pytest.mark.parametrize("ending", [".webp", ".avif"])
def test_pillows_limit_does_not_concern_frames_that_are_written(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    write(Path(f"moving{ending}"), RGB)
    with Image.open(f"moving{ending}") as image:
        assert image.n_frames >= 3
