"""Video: damaged, or without room, nothing that was there is lost, and what is lost is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

from efdn.errors import EngineError, VideoError  # noqa: E402
from engines.video import libav  # noqa: E402
from engines.video.conversion import Bicubic, ToRgb  # noqa: E402
from engines.video.facts import probe_video  # noqa: E402
from engines.video.reader import VideoReader  # noqa: E402
from engines.video.upscaling import upscale_video  # noqa: E402
from engines.video.writer import VideoWriter  # noqa: E402
from tests.video_samples import QUICK, StoppingAt, moving, read_clip, repeat4, write_clip  # noqa: E402

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("number", [1, 6, 12])
def test_an_error_of_the_network_leaves_the_older_result(tmp_path: Path, number: int) -> None:
    source = write_clip(tmp_path / "in.mp4")
    (tmp_path / "out.mp4").write_bytes(b"older")
    with pytest.raises(EngineError, match="no memory"):
        upscale_video(source, tmp_path / "out.mp4", StoppingAt(number, EngineError("no memory")), QUICK)
    assert (tmp_path / "out.mp4").read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    assert threading.active_count() == 1


@pytest.mark.parametrize("wrong", [lambda frame: frame[..., :2], lambda frame: frame.astype(np.float32)])
def test_results_of_the_wrong_size_or_type_are_refused(tmp_path: Path, wrong: object) -> None:
    source = write_clip(tmp_path / "in.mp4")
    with pytest.raises(VideoError, match=r"expected upscaled frames of \(24, 32, 3\) uint8, got"):
        upscale_video(source, tmp_path / "out.mp4", wrong, QUICK)  # type: ignore[arg-type]


FULL_DISK = """
import resource, sys
from pathlib import Path
from efdn.errors import OutputError
from engines.video.upscaling import upscale_video
from tests.video_samples import QUICK, repeat4
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    upscale_video(Path(sys.argv[1]), Path(sys.argv[2]), repeat4, QUICK)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes on Windows")
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_without_room_the_older_result_stays_and_the_new_one_goes(tmp_path: Path, ending: str) -> None:
    """A limit on the size of files stands in for a full disk: the system refuses to write more."""
    source, target = write_clip(tmp_path / "in.mp4"), tmp_path / f"out{ending}"
    target.write_bytes(b"older")
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(source), str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout == f"cannot write {target}: file too large\n"
    assert target.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", target.name])


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_truncated_source_gives_what_decodes_and_tells_what_is_lost(tmp_path: Path, ending: str) -> None:
    front = {"movflags": "faststart"} if ending == ".mp4" else {}
    source = write_clip(
        tmp_path / f"in{ending}",
        pts=range(0, 1600, 40),
        time_base=Fraction(1, 1000),
        frames=moving(40),
        container_options=front,
        options={"x264-params": "keyint=5"},
    )
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert 10 <= summary.frames < 35
    assert abs(summary.frames + summary.frames_lost - 40) <= 2
    assert len(read_clip(tmp_path / "out.mp4").frames) == summary.frames
    (warning,) = summary.warnings
    assert "damaged or cut off" in warning
    assert f"{summary.frames_lost} frames are lost" in warning


def test_broken_packets_lose_frames_but_not_the_video(tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "in.mkv",
        pts=range(0, 800, 40),
        time_base=Fraction(1, 1000),
        frames=moving(20, 64, 48),
        codec="mjpeg",
        pixel_format="yuvj444p",
    )
    with av.open(str(source)) as container:
        sizes = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = source.read_bytes()
    for broken in (sizes[4], sizes[11]):
        content = content.replace(broken, bytes(len(broken)))
    source.write_bytes(content)
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert (summary.frames, summary.frames_lost) == (18, 2)
    assert "2 frames are lost" in summary.warnings[-1]
    after = read_clip(tmp_path / "out.mp4").times
    assert after == [Fraction(at, 25) for at in range(20) if at not in (4, 11)]


def test_joined_recordings_go_on_where_the_clock_starts_anew(tmp_path: Path) -> None:
    """Two recordings one after the other, of different sizes: the second's times begin at the first's begin."""
    parts = [
        write_clip(
            tmp_path / f"{at}.ts", pts=range(0, 43_200, 3600), time_base=Fraction(1, 90_000), frames=frames, audio="aac"
        )
        for at, frames in enumerate((moving(12), moving(12, 48, 32)))
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert summary.frames == 24
    assert summary.warnings == (
        "the recording's clock starts anew 1 times: times go on from there",
        "the video's frames change their size: all were brought to the size of the first",
    )
    after = read_clip(tmp_path / "out.mp4")
    steps = [b - a for a, b in zip(after.times, after.times[1:], strict=False)]
    assert all(Fraction(1, 50) <= step <= Fraction(1, 10) for step in steps)
    assert {(frame.width, frame.height) for frame in after.frames} == {(128, 96)}
    heard = [time for time, _ in after.packets["audio"]]
    assert heard == sorted(set(heard))
    assert abs(heard[-1] - after.times[-1]) < Fraction(1, 5)


def test_frames_that_the_decoder_patched_up_are_told(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=moving(12, 64, 48), options={"x264-params": "keyint=4"})
    with av.open(str(source)) as container:
        packet = [bytes(packet) for packet in container.demux(video=0) if packet.size][5]
    source.write_bytes(source.read_bytes().replace(packet[-40:], bytes(40)))
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert summary.frames == 12
    assert "damaged and were patched up" in summary.warnings[0]


def test_nothing_that_decodes_is_an_error(tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "in.mkv", pts=range(0, 480, 40), time_base=Fraction(1, 1000), codec="ffv1", pixel_format="yuv444p"
    )
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = source.read_bytes()
    for packet in packets:
        content = content.replace(packet, bytes(len(packet)))
    source.write_bytes(content)
    with pytest.raises(VideoError, match="no frame of it can be decoded"):
        upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_frames_behind_the_end_are_an_error(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    with pytest.raises(VideoError, match="has 12 frames, none from"):
        upscale_video(source, tmp_path / "out.mp4", repeat4, replace(QUICK, frames=(40, None)))
    plain = write_clip(tmp_path / "in.mkv", pts=range(0, 480, 40), time_base=Fraction(1, 1000))
    with pytest.raises(VideoError, match="has 12 frames, none from"):
        upscale_video(plain, tmp_path / "out.mp4", repeat4, replace(QUICK, frames=(12, 20)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "in.mp4"]


def test_odd_names_are_files_and_no_protocols(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    strange = source.rename(
        tmp_path / ("größe %03d 日本.mp4" if sys.platform == "win32" else "http:größe %03d 日本.mp4")
    )
    summary = upscale_video(strange, tmp_path / "größe's x4.mp4", repeat4, QUICK)
    assert summary.frames == 12


def test_an_encoder_that_swallows_frames_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoWriter, "_closed", lambda writer, packets: packets[:-1])
    source = write_clip(tmp_path / "in.mp4", options={"bf": "2"})
    with pytest.raises(VideoError, match="made 11 frames of 12"):
        upscale_video(source, tmp_path / "out.mp4", repeat4, replace(QUICK, preset="veryfast"))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_an_encoder_that_changes_times_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    mux = VideoWriter._mux

    def moved(writer: VideoWriter, packets: list[Any]) -> None:
        for packet in packets:
            packet.pts = packet.dts = packet.pts + 1
        mux(writer, packets)

    monkeypatch.setattr(VideoWriter, "_mux", moved)
    source = write_clip(tmp_path / "in.mp4")
    assert upscale_video(source, tmp_path / f"out{ending}", repeat4, QUICK).frames == 12


def test_errors_of_ffmpeg_in_converting_are_told_as_those_of_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VideoError, match=r"cannot convert frames of 8x8 rgb24 \(.+\): convert the video first"):
        Bicubic(width=8, height=8, target_width=10**6, target_height=10**6, deep=False)
    source = write_clip(tmp_path / "in.mp4")
    (frame, *_) = read_clip(source).frames
    to_rgb = ToRgb(probe_video(source).color, width=frame.width, height=frame.height, deep=False)
    to_rgb(frame)
    monkeypatch.setattr(to_rgb, "_graphs", dict.fromkeys(to_rgb._graphs, av.filter.Graph()))
    with pytest.raises(VideoError, match="cannot convert frames of 32x24 yuv420p"):
        to_rgb(frame)


def test_errors_of_ffmpeg_in_reading_are_told_as_those_of_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(reader: VideoReader, frame: object) -> bool:
        raise av.error.ExternalError(1, "no more")

    source = write_clip(tmp_path / "in.mp4")
    monkeypatch.setattr(VideoReader, "_place", broken)
    with pytest.raises(VideoError, match=r"cannot read .*in\.mp4 \(.+\): get a whole copy"):
        upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_missing_pyav_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efdn.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"Upscaling video needs av.*\[video\]"):
        libav.load()
