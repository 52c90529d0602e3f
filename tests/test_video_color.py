"""Video: colours, bits and orientation survive, and are told to the network as they are."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")

from engines.video.color import BT709, FULL, LIMITED, SMPTE170M
from engines.video.facts import probe_video
from engines.video.turn import Turn, read_turn
from engines.video.upscaling import upscale_video
from tests.video_samples import (
    QUICK,
    Pixels,
    moving,
    patches,
    read_clip,
    repeat4,
    set_matrix,
    to_rgb,
    write_clip,
)

NUMBERS = {"bt709": 1, "smpte170m": 6, "bt470bg": 5, "bt2020": 9}
SCALER = {"bt709": "bt709", "smpte170m": "bt601", "bt470bg": "bt601", "bt2020nc": "bt2020"}
SHORT = range(0, 4 * 512, 512)


def seen_by(source: Path, target: Path, options: object = QUICK) -> list[Pixels]:
    """Upscales, and gives the frames that the network was given."""
    seen: list[Pixels] = []

    def upscale(frame: Pixels) -> Pixels:
        seen.append(frame)
        return repeat4(frame)

    upscale_video(source, target, upscale, options)  # type: ignore[arg-type]
    return seen


@pytest.mark.parametrize("color_range", ["tv", "pc"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt470bg", "bt2020nc"])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_colours_and_tags_survive(tmp_path: Path, matrix: str, color_range: str, ending: str) -> None:
    """Mean error at most 1 level of 255 on the way to the network, and 2 in the result, which was encoded twice."""
    picture = patches()
    tags = {"colorspace": matrix, "color_range": color_range, "color_primaries": "bt470bg", "color_trc": "smpte170m"}
    source = write_clip(
        tmp_path / f"in{ending}",
        pts=SHORT,
        frames=[picture] * 4,
        pixel_format="yuv444p",
        matrix=SCALER[matrix],
        color_range=color_range,
        tags=tags,
        options={"crf": "1"},
    )
    seen = seen_by(source, tmp_path / f"out{ending}", replace(QUICK, crf=1))
    assert np.abs(seen[0].astype(int) - picture).mean() <= 1
    before, after = read_clip(source), read_clip(tmp_path / f"out{ending}")
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        assert getattr(after.context, name) == getattr(before.context, name)
    assert after.frames[0].format.name in ("yuv444p", "yuvj444p")  # FFmpeg has another name for H.264 in full range.
    result = to_rgb(after.frames[2], SCALER[matrix], color_range)
    assert np.abs(result.astype(int) - repeat4(picture)).mean() <= 2


def test_chroma_stays_where_it_is_in_420(tmp_path: Path) -> None:
    """Colours at the patches' middles, where subsampling does not reach: a shift of chroma would show in the mean."""
    picture = patches(size=64)
    source = write_clip(tmp_path / "in.mp4", pts=SHORT, frames=[picture] * 4, tags={"colorspace": "bt709"})
    seen = seen_by(source, tmp_path / "out.mp4", replace(QUICK, crf=1))
    inner = np.zeros(picture.shape[:2], bool)
    inner[4:12, 4:12] = inner[20:28, 36:44] = True
    assert np.abs(seen[1].astype(int) - picture)[inner].mean() <= 3
    result = to_rgb(read_clip(tmp_path / "out.mp4").frames[1], "bt709", "tv")
    assert np.abs(result[::4, ::4].astype(int) - seen[1]).mean() <= 4


@pytest.mark.parametrize(("width", "height", "expected"), [(32, 24, SMPTE170M), (1280, 16, BT709), (16, 578, BT709)])
def test_without_tags_the_source_size_decides_and_is_written_down(
    tmp_path: Path, width: int, height: int, expected: int
) -> None:
    """The result is larger, so that a player would take it for another."""
    matrix = "bt709" if expected == BT709 else "bt601"
    picture = moving(1, width, height)[0]
    source = write_clip(tmp_path / "in.mp4", pts=(0, 512), frames=[picture] * 2, matrix=matrix, pixel_format="yuv444p")
    assert read_clip(source).frames[0].colorspace == 2
    seen = seen_by(source, tmp_path / "out.mp4")
    assert np.abs(seen[0].astype(int) - picture).mean() <= 1.5
    after = read_clip(tmp_path / "out.mp4").frames[0]
    assert (int(after.colorspace), int(after.color_range)) == (expected, LIMITED)


def test_jpeg_range_of_mjpeg_is_kept(tmp_path: Path) -> None:
    picture = patches()
    source = write_clip(
        tmp_path / "in.mkv",
        pts=range(0, 160, 40),
        time_base=Fraction(1, 1000),
        frames=[picture] * 4,
        codec="mjpeg",
        pixel_format="yuvj444p",
        matrix="bt601",
        color_range="pc",
        options={"qmin": "1", "qmax": "1"},
    )
    seen = seen_by(source, tmp_path / "out.mp4")
    assert np.abs(seen[0].astype(int) - picture).mean() <= 2
    after = read_clip(tmp_path / "out.mp4")
    assert int(after.context.color_range) == FULL
    assert after.frames[0].planes[0].width == 128


@pytest.mark.parametrize(("codec", "pixel_format"), [("libx265", "yuv420p10le"), ("libx264", "yuv422p10le")])
def test_10_bits_go_through_uint16_and_come_out_as_10_bits(tmp_path: Path, codec: str, pixel_format: str) -> None:
    picture = moving(1, 64, 64, "uint16")[0]
    source = write_clip(
        tmp_path / "in.mp4",
        pts=SHORT,
        frames=[picture] * 4,
        codec=codec,
        pixel_format=pixel_format,
        tags={"colorspace": "bt709"},
        options={"crf": "1"},
    )
    seen = seen_by(source, tmp_path / "out.mp4", replace(QUICK, crf=1))
    assert seen[0].dtype == np.uint16
    assert np.abs(seen[0].astype(int) - picture).mean() <= 300  # Of 65535: 1.2 of 255.
    after = read_clip(tmp_path / "out.mp4")
    assert (after.context.name, after.context.codec_tag) == ("hevc", "hvc1")
    assert after.frames[0].format.name == pixel_format
    result = to_rgb(after.frames[1], "bt709", "tv", "uint16")
    assert np.abs(result.astype(int) - repeat4(picture)).mean() <= 600
    assert len(np.unique(result[..., 1] >> 6)) > 256  # More values than 8 bits could tell apart.


def test_pixel_format_and_codec_can_be_chosen(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", pts=SHORT, frames=moving(4))
    options = replace(QUICK, codec="libx265", pixel_format="yuv444p10le")
    assert seen_by(source, tmp_path / "out.mp4", options)[0].dtype == np.uint16
    after = read_clip(tmp_path / "out.mp4")
    assert (after.context.name, after.frames[0].format.name) == ("hevc", "yuv444p10le")
    lossless = replace(QUICK, codec="ffv1", preset=None)
    seen = seen_by(source, tmp_path / "out.mkv", lossless)
    after = read_clip(tmp_path / "out.mkv")
    assert (after.context.name, after.frames[0].format.name) == ("ffv1", "yuv420p")
    assert np.abs(to_rgb(after.frames[0], "bt601", "tv")[::4, ::4].astype(int) - seen[0]).mean() <= 2


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["libx265", "libx264", "libsvtav1"])
def test_hdr_tags_and_static_metadata_are_kept(tmp_path: Path, codec: str, ending: str) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    source = write_clip(
        tmp_path / "in.mp4",
        pts=SHORT,
        frames=[patches(64, "uint16")] * 4,
        codec="libx265",
        pixel_format="yuv420p10le",
        matrix="bt2020",
        tags={"colorspace": "bt2020nc", "color_primaries": "bt2020", "color_trc": "smpte2084", "color_range": "tv"},
        options={"x265-params": f"log-level=none:master-display={display}:max-cll=1000,400"},
    )
    before = probe_video(source)
    assert before.hdr.luminance == (Fraction(1, 200), Fraction(1000))
    preset = "12" if codec == "libsvtav1" else "ultrafast"
    seen_by(source, tmp_path / f"out{ending}", replace(QUICK, codec=codec, preset=preset))
    after = probe_video(tmp_path / f"out{ending}")
    assert after.color == before.color
    assert (after.color.matrix, after.color.primaries, after.color.transfer) == (9, 9, 16)
    assert after.hdr.light == before.hdr.light == (1000, 400)
    assert after.hdr.luminance is not None
    assert after.hdr.primaries is not None
    # AV1 has steps of 1/65536 and luminance in powers of two.
    assert [float(x) for x in after.hdr.primaries] == pytest.approx(
        [float(x) for x in before.hdr.primaries or ()], abs=2e-5
    )
    assert [float(x) for x in after.hdr.luminance] == pytest.approx([0.005, 1000], rel=0.02)


def test_gray_stays_gray(tmp_path: Path) -> None:
    gray = np.repeat(moving(1, 33, 25)[0][..., :1], 3, axis=-1)
    source = write_clip(
        tmp_path / "in.mkv",
        pts=range(0, 160, 40),
        time_base=Fraction(1, 1000),
        frames=[gray] * 4,
        codec="ffv1",
        pixel_format="gray",
        color_range="pc",
    )
    seen = seen_by(source, tmp_path / "out.mkv", replace(QUICK, codec="ffv1", preset=None))
    assert np.abs(seen[0].astype(int) - gray).max() <= 1
    after = read_clip(tmp_path / "out.mkv").frames[0]
    assert (after.format.name, after.width, after.height) == ("gray", 132, 100)


def test_rgb_becomes_yuv_without_subsampling(tmp_path: Path) -> None:
    picture = patches()
    source = write_clip(
        tmp_path / "in.mkv",
        pts=range(0, 160, 40),
        time_base=Fraction(1, 1000),
        frames=[picture] * 4,
        codec="ffv1",
        pixel_format="bgr0",
    )
    seen = seen_by(source, tmp_path / "out.mp4", replace(QUICK, crf=1))
    np.testing.assert_array_equal(seen[0], picture)
    assert upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK).warnings == ("RGB becomes yuv444p",)
    after = read_clip(tmp_path / "out.mp4").frames[0]
    assert (after.format.name, int(after.colorspace)) == ("yuv444p", BT709)
    assert np.abs(to_rgb(after, "bt709", "tv").astype(int) - repeat4(picture)).mean() <= 2


def test_interlaced_video_is_warned_of(tmp_path: Path) -> None:
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    source = write_clip(tmp_path / "in.mp4", pts=SHORT, frames=moving(4, 64, 64), options=options)
    assert probe_video(source).warnings[0].startswith("the video is interlaced")
    assert upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK).frames == 4


def test_transparency_is_left_out_with_a_warning(tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "in.mkv",
        pts=range(0, 160, 40),
        time_base=Fraction(1, 1000),
        frames=moving(4),
        codec="ffv1",
        pixel_format="yuva444p",
    )
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert summary.warnings == ("the video's transparency is left out",)
    assert read_clip(tmp_path / "out.mp4").frames[0].format.name == "yuv444p"


QUARTERS = {
    "clockwise": ((0, 1, -1, 0), Turn(transpose=True, flip_x=True)),
    "counterclockwise": ((0, -1, 1, 0), Turn(transpose=True, flip_y=True)),
    "half": ((-1, 0, 0, -1), Turn(flip_x=True, flip_y=True)),
    "mirrored": ((-1, 0, 0, 1), Turn(flip_x=True)),
}


@pytest.mark.parametrize("name", QUARTERS)
def test_phone_videos_become_upright_and_lose_the_tag(tmp_path: Path, name: str) -> None:
    """(x, y) of a stored pixel goes to (a x + c y, b x + d y): a bright corner shows where."""
    (a, b, c, d), turn = QUARTERS[name]
    stored = np.full((24, 32, 3), 40, np.uint8)
    stored[:8, :8] = 220
    source = write_clip(
        tmp_path / "in.mp4", pts=SHORT, frames=[stored] * 4, pixel_format="yuv444p", aspect=Fraction(4, 3)
    )
    set_matrix(source, a, b, c, d)
    facts = probe_video(source)
    assert facts.turn == turn
    transposed = a == 0
    assert (facts.width, facts.height) == ((24, 32) if transposed else (32, 24))
    assert facts.pixel_aspect == (Fraction(3, 4) if transposed else Fraction(4, 3))
    seen = seen_by(source, tmp_path / "out.mp4")
    bright = (a + c < 0, b + d < 0)  # Whether the corner is now at the right, at the bottom.
    rows, columns = np.nonzero(seen[0][..., 0] > 130)
    height, width = seen[0].shape[:2]
    assert (columns.mean() > width / 2, rows.mean() > height / 2) == bright
    again = probe_video(tmp_path / "out.mp4")
    assert not again.turn
    assert (again.width, again.height) == (4 * width, 4 * height)
    assert again.pixel_aspect == facts.pixel_aspect


def test_other_rotations_are_left_out_with_a_warning(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", pts=SHORT, frames=moving(4))
    set_matrix(source, 0.7071, 0.7071, -0.7071, 0.7071)
    assert probe_video(source).warnings == ("the video's rotation is not by quarters and is left out",)
    assert read_turn(b"") == Turn()
