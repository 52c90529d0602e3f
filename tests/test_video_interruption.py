"""Video: interrupted or killed, what was done can be played, and nothing that was there is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

av = pytest.importorskip("av")

from engines.video.reader import VideoReader  # noqa: E402
from engines.video.upscaling import upscale_video  # noqa: E402
from tests.video_samples import QUICK, Pixels, StoppingAt, moving, read_clip, repeat4, write_clip  # noqa: E402

ROOT = Path(__file__).parent.parent


def near(found: list[Fraction], expected: list[Fraction]) -> bool:
    """Whether times are the same but for the rounding of Matroska's milliseconds."""
    return all(abs(a - b) <= Fraction(1, 1000) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
def test_ctrl_c_keeps_what_was_done_under_another_name(tmp_path: Path, ending: str) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac")
    target = tmp_path / f"out{ending}"
    target.write_bytes(b"older")
    summary = upscale_video(source, target, StoppingAt(6, KeyboardInterrupt()), QUICK)
    partial = tmp_path / f"out.partial{ending}"
    assert (summary.path, summary.frames, summary.interrupted) == (partial, 5, True)
    before, after = read_clip(source), read_clip(partial)
    moved = after.times[0] - before.times[0]
    assert near([time - moved for time in after.times], before.times[:5])
    assert after.packets["audio"][-1][0] <= 2 * before.times[5] + moved
    assert target.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", target.name, partial.name])


def test_what_earlier_interruptions_kept_is_kept(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    kept = [
        upscale_video(source, tmp_path / "out.mkv", StoppingAt(at, KeyboardInterrupt()), QUICK).path for at in (6, 3, 2)
    ]
    assert [path and path.name for path in kept] == ["out.partial.mkv", "out.partial-2.mkv", "out.partial-3.mkv"]
    assert [len(read_clip(path).times) for path in kept if path] == [5, 2, 1]


def test_a_check_ends_the_work_even_while_frames_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_clip(tmp_path / "in.mp4", pts=range(0, 512 * 200, 512), frames=moving(200))
    decoded: list[object] = []
    place = VideoReader._place

    def counting(reader: VideoReader, frame: object) -> bool:
        decoded.append(frame)
        return place(reader, frame)

    def check() -> None:
        if len(decoded) > 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(VideoReader, "_place", counting)
    options = replace(QUICK, frames=(190, None))
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, options, check=check)
    assert (summary.path, summary.interrupted) == (None, True)
    assert len(decoded) < 150
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_check_loses_no_frame_that_is_upscaled(tmp_path: Path) -> None:
    upscaled: list[Pixels] = []

    def upscale(frame: Pixels) -> Pixels:
        upscaled.append(frame)
        return repeat4(frame)

    def check() -> None:
        if len(upscaled) == 4:
            raise KeyboardInterrupt

    source = write_clip(tmp_path / "in.mp4")
    summary = upscale_video(source, tmp_path / "out.mp4", upscale, QUICK, check=check)
    assert (summary.frames, len(upscaled), summary.interrupted) == (4, 4, True)


def test_ctrl_c_before_the_first_frame_leaves_nothing(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    summary = upscale_video(source, tmp_path / "out.mp4", StoppingAt(1, KeyboardInterrupt()), QUICK)
    assert (summary.path, summary.frames, summary.interrupted) == (None, 0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_ctrl_c_in_the_report_counts_too(tmp_path: Path) -> None:
    def report(progress: object) -> None:
        raise KeyboardInterrupt

    source = write_clip(tmp_path / "in.mp4")
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK, report)
    assert summary.interrupted
    assert threading.active_count() == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from engines.video.upscaling import upscale_video
from tests.video_samples import QUICK, repeat4
count = 0
def upscale(frame):
    global count
    count += 1
    if count == 100:
        import time
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return repeat4(frame)
upscale_video(Path(sys.argv[1]), Path(sys.argv[2]), upscale, QUICK)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_what_was_written_before_a_kill_can_be_played(tmp_path: Path, ending: str) -> None:
    """Of 99 frames at 25 a second, what is lost is about a second; the encoder holds none back at this preset."""
    source = write_clip(tmp_path / "in.mp4", pts=range(0, 512 * 110, 512), frames=moving(110), audio="aac")
    target = tmp_path / f"out{ending}"
    target.write_bytes(b"older")
    result = subprocess.run([sys.executable, "-c", KILLED, str(source), str(target)], cwd=ROOT, check=False)
    assert result.returncode == -9
    (temporary,) = tmp_path.glob(f".efdn-*{ending}")
    before, after = read_clip(source), read_clip(temporary)
    assert 60 <= len(after.times) <= 99
    moved = after.times[0] - before.times[0]
    assert near([time - moved for time in after.times], before.times[: len(after.times)])
    assert len(after.packets["audio"]) > 50
    assert target.read_bytes() == b"older"
