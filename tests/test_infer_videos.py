"""Videos through `efdn-infer`, alone and among pictures; what becomes of their frames is tested with the videos."""

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("av")

from tests.conftest import noise
from tests.inference_samples import Array, FakeEngine, Infer, no_parts_in
from tests.video_samples import read_clip, write_clip


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


@pytest.fixture
def clip() -> Path:
    """A clip of 40x32 pixels, or so, with sound."""
    return write_clip(Path("clip.mp4"), audio="aac")


def test_a_video_becomes_a_video(infer: Infer, clip: Path) -> None:
    before = read_clip(clip)
    said = infer(clip, "--json", "--preset", "ultrafast")
    assert said.code == 0, said.err
    after = read_clip(Path("clip_x2.mp4"))
    height, width = before.frames[0].height, before.frames[0].width
    assert (after.frames[0].height, after.frames[0].width) == (2 * height, 2 * width)
    assert after.times == before.times
    assert after.packets == before.packets
    told, last = said.lines
    assert (told["status"], told["width"], told["height"]) == ("done", 2 * width, 2 * height)
    assert (told["frames"], told["frames_lost"]) == (len(before.frames), 0)
    assert last["summary"]["done"] == 1


def test_some_frames_of_a_video(infer: Infer, clip: Path) -> None:
    assert infer(clip, "--frames", "1:3", "-o", "some.mkv").code == 0
    assert len(read_clip(Path("some.mkv")).frames) == 2


def test_frames_are_cut_into_tiles(infer: Infer, clip: Path) -> None:
    assert infer(clip, "--tile", 32, "--tile-overlap", 4, "--pad", 4).code == 0
    assert max(max(side) for side in infer.engine.sides) <= 32


@pytest.mark.parametrize("options", ["--scale 3", "--size 100x"])
def test_the_size_of_videos_is_not_changed_silently(infer: Infer, clip: Path, options: str) -> None:
    width = 2 * read_clip(clip).frames[0].width
    said = infer(clip, *options.split())
    if said.code == 0:
        (result,) = set(Path().glob("*.mp4")) - {clip}
        # Either refused, or done.
        assert read_clip(result).frames[0].width == (3 * width // 2 if "scale" in options else 100)
    else:
        assert options.split()[0] in said.err
        assert infer.engine.sides == []


@pytest.mark.parametrize("options", ["--bits 16", "--background white", "--color rgb", "--compare", "--frames all"])
def test_options_of_pictures_are_not_dropped_silently_on_videos(infer: Infer, clip: Path, options: str) -> None:
    said = infer(clip, *options.split())
    assert said.code == 2
    assert "is for pictures, and there is none among what was given: leave it out" in said.err
    assert infer.engine.sides == []


def test_pictures_and_videos_in_one_folder(infer: Infer) -> None:
    Path("in").mkdir()
    Image.fromarray(noise(14, 17)).save("in/a.png")
    write_clip(Path("in/b.mp4"))
    Path("in/c.mp4").write_bytes(b"no video")
    Path("in/d.png").write_bytes(b"no picture")
    said = infer("in", "-o", "out")
    assert said.code == 1
    assert {path.name for path in Path("out").iterdir()} == {"a_x2.png", "b_x2.mp4"}
    assert "c.mp4" in said.err
    assert "d.png is not a PNG" in said.err
    assert said.err.splitlines()[-1].startswith("efdn-infer: 2 upscaled, 2 failed in ")


def test_an_error_in_one_video_does_not_stop_the_next(infer: Infer) -> None:
    Path("in").mkdir()
    for name in "ab":
        write_clip(Path(f"in/{name}.mp4"))

    def broken(y: Array) -> Array:
        if len(infer.engine.sides) == 2:
            raise KeyError("oops")
        return y

    infer.engine.corrupt = broken
    said = infer("in", "-o", "out")
    assert said.code == 1
    assert "KeyError: 'oops'" in said.err
    assert [path.name for path in Path("out").glob("*.mp4")] == ["b_x2.mp4"]


def test_an_interruption_ends_the_run_and_is_accounted_for(infer: Infer) -> None:
    Path("in").mkdir()
    for name in "ab":
        write_clip(Path(f"in/{name}.mp4"))

    def stop(y: Array) -> Array:
        if len(infer.engine.sides) == 3:
            raise KeyboardInterrupt
        return y

    infer.engine.corrupt = stop
    said = infer("in", "-o", "out", "--json")
    assert said.code == 130
    assert no_parts_in(Path("out"))
    first, second, last = said.lines
    assert (first["status"], second["status"]) == ("cancelled", "cancelled")
    assert last["summary"]["interrupted"] is True
    # What is done so far is playable, under a name that no whole result has.
    assert [path.name for path in Path("out").iterdir()] == ["a_x2.partial.mp4"]
    assert len(read_clip(Path("out/a_x2.partial.mp4")).frames) == 2
    infer.engine.corrupt = lambda y: y
    assert infer("in", "-o", "out", "--skip-existing").code == 0
    assert {path.name for path in Path("out").iterdir()} >= {"a_x2.mp4", "b_x2.mp4"}


def test_an_engine_of_bytes_refuses_10_bits(infer: Infer) -> None:
    write_clip(Path("deep.mkv"), codec="ffv1", pixel_format="yuv420p10le")
    infer.engine = FakeEngine(2, takes="uint8", gives="uint8")
    said = infer("deep.mkv")
    assert said.code == 1
    assert "8 bits a sample" in said.err
    assert not Path("deep_x2.mkv").exists()
