"""Video: what cannot be is said before any work, with the way out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from efdn.errors import ConfigError, EfdnError, OutputError, VideoError  # noqa: E402
from engines.video.facts import probe_video  # noqa: E402
from engines.video.options import VideoOptions  # noqa: E402
from engines.video.source_facts import VideoFacts  # noqa: E402
from engines.video.target import check_size, check_video_target, size_warning  # noqa: E402
from engines.video.upscaling import upscale_video  # noqa: E402
from tests.video_samples import QUICK, moving, read_clip, repeat4, write_clip  # noqa: E402


def one_line(error: pytest.ExceptionInfo[EfdnError]) -> bool:
    return "\n" not in str(error.value)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return write_clip(folder / "in.mp4", audio="aac", subtitles=[(40, 200, "one")])


@pytest.fixture(scope="module")
def facts(clip: Path) -> VideoFacts:
    return probe_video(clip)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("out.avi", {}, r"expected a name ending in \.mp4, .*\.mkv"),
        ("out", {}, "expected a name ending in"),
        ("out.mkv", {}, r"\.mkv does not hold stream 2 \(subtitle, mov_text.*choose a \.mp4 name.*--drop-streams"),
        ("out.webm", {}, r"\.webm does not hold stream 1 \(audio, aac, deu\) and stream 2 .*choose a \.mp4 name"),
        ("out.webm", {"codec": "libx264"}, r"\.webm does not hold libx264; choose a \.mkv name"),
        ("out.mp4", {"codec": "divx"}, "no video codec divx: expected one of libx264"),
        ("out.mp4", {"pixel_format": "yuv999p"}, "no pixel format yuv999p"),
        ("out.mp4", {"pixel_format": "rgb24"}, "libx264 does not take rgb24: expected one of yuv420p"),
        ("out.mp4", {"preset": "sluggish"}, "libx264 does not start .*preset=sluggish.*choose another preset"),
        ("out.mp4", {"crf": 60.0}, "libx264 takes a crf of 0 to 51, got 60"),
        ("out.mov", {"codec": "prores_ks", "crf": 5.0}, "prores_ks has no crf"),
        ("out.mov", {"codec": "prores_ks", "preset": "slow"}, "prores_ks has no presets"),
    ],
)
def test_what_a_target_cannot_be_is_said(
    facts: VideoFacts, tmp_path: Path, name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises((OutputError, VideoError), match=said) as error:
        check_video_target(facts, tmp_path / name, VideoOptions(**options), 4)  # type: ignore[arg-type]
    assert one_line(error)
    assert not list(tmp_path.iterdir())


def test_a_folder_may_be_made_between_the_check_and_the_work(clip: Path, facts: VideoFacts, tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.mp4"
    assert check_video_target(facts, target, QUICK, 4).target == target
    with pytest.raises(OutputError, match="new does not exist; create it first"):
        upscale_video(clip, target, repeat4, QUICK)
    target.parent.mkdir()
    assert upscale_video(clip, target, repeat4, QUICK).path == target


def test_frames_larger_than_allowed_are_refused_before_they_are_decoded(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe_video(clip, max_pixels=32 * 24).width == 32
    monkeypatch.setattr("engines.video.facts._decoded", lambda container, stream: pytest.fail("decoded"))
    with pytest.raises(VideoError, match=r"frames of 32x24 pixels, more than the 767 .*raise --max-pixels") as error:
        probe_video(clip, max_pixels=32 * 24 - 1)
    assert one_line(error)


def test_frames_larger_than_their_file_says_are_refused_too(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = SimpleNamespace(width=40_000, height=30_000)
    monkeypatch.setattr("engines.video.facts._first_frame", lambda container, stream, path: huge)
    with pytest.raises(VideoError, match="frames of 40000x30000 pixels"):
        probe_video(clip, max_pixels=100_000_000)


def test_containers_are_known_without_anything_heavy() -> None:
    code = "import sys, engines.video.containers; print(sorted({'av', 'numpy', 'PIL'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout == "[]\n"


def test_streams_that_do_not_fit_are_left_out_when_asked_for(facts: VideoFacts, tmp_path: Path) -> None:
    plan = check_video_target(facts, tmp_path / "out.mkv", VideoOptions(leave_out=True), 4)
    assert plan.copied == (1,)
    assert plan.warnings == ("stream 2 (subtitle, mov_text, und) is left out: .mkv does not hold it",)


@pytest.mark.parametrize(
    ("name", "bits", "codec"),
    [("a.mp4", 8, "libx264"), ("a.mkv", 10, "libx265"), ("a.webm", 8, "libvpx-vp9"), ("a.webm", 10, "libsvtav1")],
)
def test_default_codecs_follow_the_bits_and_the_container(
    facts: VideoFacts, tmp_path: Path, name: str, bits: int, codec: str
) -> None:
    plan = check_video_target(replace(facts, bits=bits, others=()), tmp_path / name, VideoOptions(), 4)
    assert (plan.encoder.name, plan.bits) == (codec, bits)
    assert plan.encoder_options["crf"] == "16"


def test_what_changes_unasked_is_told(facts: VideoFacts, tmp_path: Path) -> None:
    deep = replace(facts, bits=12, chroma="422", pixel_format="yuv422p12le")
    target = tmp_path / "out.mp4"
    assert check_video_target(deep, target, VideoOptions(), 4).pixel_format == "yuv422p12le"
    plan = check_video_target(deep, target, VideoOptions(codec="libx264"), 4)
    assert (plan.pixel_format, plan.warnings) == ("yuv422p10le", ("12 bits become 10: libx264 takes no more",))
    plan = check_video_target(replace(deep, bits=10), target, VideoOptions(codec="libsvtav1"), 4)
    assert "becomes yuv420p10le" in plan.warnings[0]


@pytest.mark.parametrize(
    ("codec", "width", "height", "refused"),
    [
        ("libx264", 4096, 4096, False),
        ("libx264", 4097, 16, True),
        ("libx265", 4097, 16, True),
        ("hevc_nvenc", 2049, 16, True),
        ("ffv1", 4097, 16, False),
    ],
)
def test_sizes_beyond_the_codec_are_refused(
    facts: VideoFacts, tmp_path: Path, codec: str, width: int, height: int, refused: bool
) -> None:
    plan = check_video_target(facts, tmp_path / "out.mp4", VideoOptions(), 4)
    from engines.video.encoders import ENCODERS

    plan = replace(plan, encoder=ENCODERS[codec])
    if refused:
        with pytest.raises(
            VideoError, match=r"pixels a side, the result has .*choose a smaller --size, or --codec ffv1"
        ):
            check_size(plan, 4 * width, 4 * height)
    else:
        check_size(plan, 4 * width, 4 * height)


def test_sizes_few_players_show_are_warned_of(facts: VideoFacts, tmp_path: Path) -> None:
    plan = check_video_target(facts, tmp_path / "out.mp4", VideoOptions(), 4)
    assert size_warning(plan, 7680, 4320) is None
    assert "few players" in (size_warning(plan, 15_360, 8640) or "")


def test_odd_results_need_full_chroma(tmp_path: Path) -> None:
    def thrice(frame: np.ndarray) -> np.ndarray:
        return frame.repeat(3, axis=0).repeat(3, axis=1)

    frames = moving(4, 33, 25)
    source = write_clip(
        tmp_path / "in.mkv", pts=range(0, 160, 40), time_base=Fraction(1, 1000), frames=frames, codec="ffv1"
    )
    with pytest.raises(VideoError, match=r"yuv420p needs a width that is a multiple of 2 .*99x75.*yuv444p"):
        upscale_video(source, tmp_path / "out.mp4", thrice, QUICK)
    assert not (tmp_path / "out.mp4").exists()
    upscale_video(source, tmp_path / "out.mp4", thrice, replace(QUICK, pixel_format="yuv444p"))
    after = read_clip(tmp_path / "out.mp4").frames[0]
    assert (after.width, after.height) == (99, 75)


def test_what_is_no_video_is_told_in_one_line(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "picture.png")
    (tmp_path / "text.txt").write_text("not a video, " * 100)
    (tmp_path / "text.mp4").write_text("not a video, " * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, said in [
        ("picture.png", "is not a video: expected MP4"),
        ("text.txt", "is not a video"),
        ("text.mp4", "is not a video, or is broken"),
        ("empty.mp4", "is not a video, or is broken"),
        ("none.mp4", "no file .*none.mp4"),
        ("", "is a folder"),
    ]:
        with pytest.raises(VideoError, match=said) as error:
            probe_video(tmp_path / name)
        assert one_line(error)


def test_sound_alone_and_sound_with_a_cover_are_no_videos(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match="has no video stream"):
        probe_video(tmp_path / "sound.wav")
    add_cover(tmp_path / "sound.wav", tmp_path / "album.mka")
    with pytest.raises(VideoError, match="has only a cover picture"):
        probe_video(tmp_path / "album.mka")


def add_cover(source: Path, target: Path) -> None:
    """Copies a file into Matroska and puts a cover picture into it."""
    picture = target.with_suffix(".png")
    Image.fromarray(moving(1)[0]).save(picture)
    with av.open(str(source)) as reading, av.open(str(target), "w", format="matroska") as writing:
        streams = {stream.index: writing.add_stream_from_template(stream, opaque=True) for stream in reading.streams}
        writing.add_attachment("cover.png", "image/png", picture.read_bytes())
        for packet in reading.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                writing.mux(packet)


def test_a_cover_picture_is_kept_in_matroska_and_left_out_of_mp4_with_a_warning(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mkv", pts=range(0, 480, 40), time_base=Fraction(1, 1000))
    add_cover(plain, tmp_path / "in.mkv")
    source = tmp_path / "in.mkv"
    assert [(stream.kind, stream.codec) for stream in probe_video(source).others] == [("cover", "png")]
    assert not upscale_video(source, tmp_path / "out.mkv", repeat4, QUICK).warnings
    again = probe_video(tmp_path / "out.mkv")
    assert [(stream.kind, stream.codec) for stream in again.others] == [("cover", "png")]
    assert (again.width, again.height) == (128, 96)
    with av.open(str(tmp_path / "out.mkv")) as container:
        pictures = [bytes(packet) for packet in container.demux(container.streams[1]) if packet.size]
    assert pictures == [(tmp_path / "in.png").read_bytes()]
    summary = upscale_video(source, tmp_path / "out.mp4", repeat4, QUICK)
    assert summary.frames == 12
    assert summary.warnings == ("stream 1 (cover, png) is left out: a .mkv name would keep it",)
    assert not probe_video(tmp_path / "out.mp4").others


def test_a_video_is_not_written_onto_itself(clip: Path) -> None:
    content = clip.read_bytes()
    with pytest.raises(OutputError, match="is the video itself"):
        upscale_video(clip, clip, repeat4, QUICK)
    assert clip.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crf": 70}, "crf must be 0 to 63, got 70"),
        ({"threads": -1}, "threads must be at least 0, got -1"),
        ({"frames": (5, 5)}, "frames must be A:B with 0 <= A < B, got 5:5"),
        ({"frames": (-1, None)}, "got -1:$"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        VideoOptions(**options)  # type: ignore[arg-type]
