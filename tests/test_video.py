"""Video: every frame at its time, and everything else in the file beside it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

from engines.video.facts import probe_video  # noqa: E402
from engines.video.options import VideoProgress  # noqa: E402
from engines.video.upscaling import upscale_video  # noqa: E402
from tests.video_samples import QUICK, STEADY, WIDTH, moving, read_clip, repeat4, write_clip  # noqa: E402

UNEVEN = (0, 1, 3, 4, 9, 10, 12, 20, 21, 23, 30, 31)
"""Times of frames at a rate that varies."""

B_FRAMES = {"bf": "3", "b_strategy": "0", "x264-params": "open-gop=1:keyint=6:scenecut=0"}


@pytest.mark.parametrize("time_base", [Fraction(1, 600), Fraction(1, 1000), Fraction(1001, 30_000)], ids=str)
@pytest.mark.parametrize("begin", [0, 700])
@pytest.mark.parametrize("b_frames", [False, True], ids=["", "B-frames"])
def test_mp4_keeps_every_time_and_the_time_base(
    tmp_path: Path, time_base: Fraction, begin: int, b_frames: bool
) -> None:
    pts = [begin + 20 * step for step in UNEVEN]
    source = write_clip(tmp_path / "in.mp4", pts=pts, time_base=time_base, options=B_FRAMES if b_frames else {})
    before = read_clip(source)
    options = replace(QUICK, preset="veryfast") if b_frames else QUICK
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, options)
    after = read_clip(tmp_path / "out.mp4")
    assert after.times == before.times
    assert after.time_base == before.time_base
    assert summary.frames == len(pts) == len(before.times)
    assert (summary.width, summary.height) == (128, 96) == (after.frames[0].width, after.frames[0].height)
    assert not summary.warnings


@pytest.mark.parametrize("ending", [".mkv", ".mov", ".m4v"])
def test_matroska_and_mov_keep_times_too(tmp_path: Path, ending: str) -> None:
    pts = [40 * step + 80 for step in UNEVEN]
    source = write_clip(tmp_path / "in.mkv", pts=pts, time_base=Fraction(1, 1000), options=B_FRAMES)
    upscale_video(source, tmp_path / f"out{ending}", repeat4, replace(QUICK, preset="veryfast"))
    assert read_clip(tmp_path / f"out{ending}").times == read_clip(source).times == [Fraction(t, 1000) for t in pts]


def test_matroska_rounds_finer_times_to_its_milliseconds(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", pts=range(0, 12_012, 1001), time_base=Fraction(1, 30_000))
    upscale_video(source, tmp_path / "out.mkv", repeat4, QUICK)
    for before, after in zip(read_clip(source).times, read_clip(tmp_path / "out.mkv").times, strict=True):
        assert abs(after - before) <= Fraction(1, 2000)


def test_frames_come_out_in_order_and_enlarged(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", pixel_format="yuv444p", options={"crf": "1"})
    upscale_video(source, tmp_path / "out.mp4", repeat4, replace(QUICK, crf=1))
    before, after = read_clip(source), read_clip(tmp_path / "out.mp4")
    for small, large in zip(before.frames, after.frames, strict=True):
        error = np.abs(repeat4(plane(small)[..., None])[..., 0].astype(int) - plane(large))
        assert error.mean() <= 1  # Of 255; neighbouring frames differ by eight times as much.
    assert np.abs(plane(before.frames[0]).astype(int) - plane(before.frames[1])).mean() > 8


def plane(frame: Any) -> np.ndarray:
    first = frame.planes[0]
    return np.frombuffer(bytes(first), np.uint8).reshape(first.height, -1)[:, : first.width]


def test_an_edit_list_that_hides_frames_is_followed(tmp_path: Path) -> None:
    """Cut with a stream copy, players begin in the middle of a group of pictures: so does the result."""
    whole = write_clip(tmp_path / "whole.mp4", options={"x264-params": "keyint=6:scenecut=0"})
    source = tmp_path / "cut.mp4"
    with av.open(str(whole)) as reading, av.open(str(source), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - 1024, packet.dts - 1024
                packet.stream = stream
                writing.mux(packet)
    before = read_clip(source)
    assert before.pts[0] == 0
    assert len(before.pts) < len(STEADY)
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert read_clip(tmp_path / "out.mp4").pts == before.pts
    assert not summary.warnings
    assert summary.frames_lost == 0


def test_audio_and_subtitles_are_copied_byte_for_byte(tmp_path: Path) -> None:
    texts = [(40, 200, "one, two"), (240, 400, "drei: größer")]
    source = write_clip(tmp_path / "in.mp4", audio="aac", subtitles=texts, metadata={"title": "A clip"})
    upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    before, after = read_clip(source), read_clip(tmp_path / "out.mp4")
    assert before.packets["audio"][0][0] < 0  # The encoder's delay, which players leave out.
    assert after.packets["audio"] == before.packets["audio"]
    assert spoken(after.packets["subtitle"]) == spoken(before.packets["subtitle"])
    assert [text.decode() for _, text in spoken(after.packets["subtitle"])] == [text for _, _, text in texts]
    assert after.times == before.times
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "subtitle"]
        assert container.streams.audio[0].metadata["language"] == "deu"
        assert container.metadata["title"] == "A clip"


def test_tags_of_phones_are_kept_in_mov(tmp_path: Path) -> None:
    tags = {"com.apple.quicktime.model": "A phone", "title": "A clip"}
    source = write_clip(tmp_path / "in.mov", metadata=tags, container_options={"movflags": "use_metadata_tags"})
    upscale_video(source, tmp_path / "out.mov", repeat4, QUICK)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert {key: container.metadata.get(key) for key in tags} == tags


def spoken(packets: list[tuple[Fraction, bytes]]) -> list[tuple[Fraction, bytes]]:
    """Begins and texts of QuickTime subtitles, without the empty ones between."""
    return [(begin, content[2:]) for begin, content in packets if len(content) > 2]


def test_matroska_keeps_srt_subtitles_chapters_fonts_and_late_audio(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    plain = write_clip(
        tmp_path / "plain.mkv",
        pts=range(0, 480, 40),
        time_base=Fraction(1, 1000),
        audio="libopus",
        audio_begin=9600,
        subtitles=[(40, 200, "<i>one</i>")],
        subtitle_codec="subrip",
    )
    with av.open(str(plain)) as reading, av.open(str(source), "w") as writing:
        streams = {s.index: writing.add_stream_from_template(s, opaque=True) for s in reading.streams}
        writing.add_attachment("font.ttf", "application/x-truetype-font", b"not a font, but as good as one")
        chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "Intro"}}
        writing.set_chapters([chapter])
        for packet in reading.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                writing.mux(packet)
    upscale_video(source, tmp_path / "out.mkv", repeat4, QUICK)
    before, after = read_clip(source), read_clip(tmp_path / "out.mkv")
    assert after.packets == before.packets
    assert after.packets["audio"][0][0] >= Fraction(19, 100)
    assert after.times == before.times
    with av.open(str(tmp_path / "out.mkv")) as container:
        (font,) = container.streams.attachments
        assert (font.name, font.data) == ("font.ttf", b"not a font, but as good as one")
        assert [found["metadata"]["title"] for found in container.chapters()] == ["Intro"]


def test_audio_that_begins_before_the_video_moves_all_streams_alike_in_matroska(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac")
    upscale_video(source, tmp_path / "out.mkv", repeat4, QUICK)
    before, after = read_clip(source), read_clip(tmp_path / "out.mkv")
    moved = after.times[0] - before.times[0]
    # Matroska has no negative times: 1024 samples, in its milliseconds. Later FFmpeg notes the delay instead.
    assert moved in (Fraction(21, 1000), 0)
    sounds = zip(before.packets["audio"], after.packets["audio"], strict=True)
    for (old, content), (new, copied) in sounds:
        assert copied == content
        assert abs(new - old - moved) <= Fraction(1, 1000)


@pytest.mark.parametrize(("frames", "expected"), [((3, 7), range(3, 7)), ((8, None), range(8, 12)), ((0, 2), range(2))])
def test_a_range_of_frames_is_cut_exactly_with_its_audio_and_subtitles(
    tmp_path: Path, frames: tuple[int, int | None], expected: range
) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac", subtitles=[(40, 400, "long"), (420, 460, "late")])
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, replace(QUICK, frames=frames))
    before, after = read_clip(source), read_clip(tmp_path / "out.mp4")
    begin = before.times[expected[0]]
    end = before.times[expected[-1] + 1] if expected[-1] + 1 < len(before.times) else Fraction(10)
    assert after.times == [before.times[at] - begin for at in expected]
    assert summary.frames == len(expected)
    sounds = [(time - begin, content) for time, content in before.packets["audio"] if begin <= time < end]
    assert [content for _, content in after.packets["audio"]] == [content for _, content in sounds]
    for (new, _), (old, _) in zip(after.packets["audio"], sounds, strict=True):
        assert abs(new - old) <= Fraction(1, 48_000)
    shown = [content.decode() for _, content in spoken(after.packets["subtitle"])]
    assert shown == [
        name
        for name, low, high in (("long", 1, 10), ("late", 10.5, 11.5))
        if low < expected[-1] + 1 and high > expected[0]
    ]


def test_frames_are_those_that_were_asked_for(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", options=B_FRAMES)
    seen: list[np.ndarray] = []
    everything: list[np.ndarray] = []
    upscale_video(source, tmp_path / "all.mp4", lambda frame: repeat4(remember(everything, frame)), QUICK)
    upscale_video(
        source, tmp_path / "out.mp4", lambda frame: repeat4(remember(seen, frame)), replace(QUICK, frames=(5, 9))
    )
    np.testing.assert_array_equal(seen, everything[5:9])


def remember(seen: list[np.ndarray], frame: np.ndarray) -> np.ndarray:
    seen.append(frame)
    return frame


def test_preview_is_bicubic_on_the_left_and_upscaled_on_the_right(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=[np.full((24, WIDTH, 3), 128, np.uint8)] * 12)
    upscale_video(source, tmp_path / "out.mp4", lambda frame: repeat4(frame) // 2, replace(QUICK, preview=True))
    luma = plane(read_clip(tmp_path / "out.mp4").frames[5]).astype(int)
    assert luma.shape == (96, 128)
    assert abs(luma[:, :60].mean() - (16 + 128 * 219 / 255)) <= 2  # Gray, in limited range.
    assert abs(luma[:, 68:].mean() - (16 + 64 * 219 / 255)) <= 2
    assert luma[:, 63:65].mean() > 200


def test_progress_counts_frames_and_tells_what_is_left(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    told: list[VideoProgress] = []
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK, told.append)
    assert [progress.frames_done for progress in told] == list(range(1, 13))
    assert {progress.frames_total for progress in told} == {12}
    assert told[0].seconds_left is None
    assert told[-1].seconds_left == 0
    assert told[-1].frames_per_second > 0
    assert summary.bytes_written == (tmp_path / "out.mp4").stat().st_size
    assert 0 < summary.engine_seconds <= summary.seconds
    told.clear()
    upscale_video(source, tmp_path / "out.mp4", repeat4, replace(QUICK, frames=(2, 5)), told.append)
    assert [(progress.frames_done, progress.frames_total) for progress in told] == [(1, 3), (2, 3), (3, 3)]


def test_many_frames_and_a_slow_engine_wait_for_each_other(tmp_path: Path) -> None:
    """More frames than the queues hold, ten times over."""
    count = 80
    source = write_clip(tmp_path / "in.mp4", pts=range(0, 512 * count, 512), frames=moving(count), audio="aac")
    upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    before, after = read_clip(source), read_clip(tmp_path / "out.mp4")
    assert after.pts == before.pts
    assert after.packets == before.packets


def test_facts_tell_what_a_command_shows(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac", aspect=Fraction(4, 3))
    facts = probe_video(source)
    assert str(facts) == "32x24 h264, yuv420p, 25 frames/s"
    assert (facts.frames, facts.bits, facts.chroma) == (12, 8, "420")
    assert facts.duration_s == pytest.approx(0.48)
    assert [str(stream) for stream in facts.others] == ["stream 1 (audio, aac, deu)"]
    assert facts.pixel_aspect == Fraction(4, 3)
    assert not facts.warnings


def test_pixel_aspect_is_kept(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", aspect=Fraction(4, 3))
    for ending in (".mp4", ".mkv"):
        upscale_video(source, tmp_path / f"out{ending}", repeat4, QUICK)
        assert probe_video(tmp_path / f"out{ending}").pixel_aspect == Fraction(4, 3)
