"""`efdn-infer` on many files of which some fail: the rest is done, nothing half written, nothing replaced silently."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efdn.pictures import writing
from engines.inference import picture_work
from tests.conftest import noise
from tests.inference_samples import Array, Infer, files, no_parts_in, picture, pixels_of, repeated

BINDING_PERMISSIONS = os.name != "nt" and os.geteuid() != 0


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


def test_one_bad_file_does_not_stop_the_rest(infer: Infer) -> None:
    picture("in/a.png")
    Path("in/b.png").write_text("no picture")
    whole = picture("in/c.png", height=60, width=60).read_bytes()
    Path("in/c.png").write_bytes(whole[: len(whole) // 2])
    picture("in/d.png")
    said = infer("in", "-o", "out")
    assert said.code == 1
    assert files("out") == {"a_x2.png", "d_x2.png"}
    # Told when it is found, and again in the list at the end.
    assert said.err.count("b.png is not a PNG") == 2
    assert said.err.count("c.png is a broken or truncated picture") == 2
    assert "efdn-infer: 2 failed:" in said.err
    assert said.err.splitlines()[-1].startswith("efdn-infer: 2 upscaled, 2 failed in ")
    assert len(said.out.splitlines()) == 2


def test_existing_results_are_never_replaced_silently(infer: Infer) -> None:
    picture("a.png")
    picture("b.png", 1)
    Path("a_x2.png").write_text("precious")
    said = infer("a.png", "b.png")
    assert said.code == 1
    assert "1 of 2 results exist (a_x2.png): give --skip-existing" in said.err
    assert files() == {"a.png", "b.png", "a_x2.png"}
    said = infer("a.png", "b.png", "--skip-existing")
    assert said.code == 0, said.err
    assert Path("a_x2.png").read_text() == "precious"
    assert Path("b_x2.png").exists()
    said = infer("a.png", "b.png", "--overwrite")
    assert said.code == 0, said.err
    np.testing.assert_array_equal(pixels_of("a_x2.png"), repeated(noise(14, 17)))


def test_a_sheet_that_exists_is_never_replaced_silently(infer: Infer) -> None:
    picture("a.png")
    Path("a_x2_compare.png").write_text("precious")
    said = infer("a.png", "--compare")
    assert Path("a_x2_compare.png").read_text() == "precious"
    assert said.code == 1
    assert infer("a.png", "--compare", "--overwrite").code == 0
    with Image.open("a_x2_compare.png") as image:
        assert image.mode == "RGB"


def test_a_picture_is_never_its_own_result(infer: Infer) -> None:
    before = picture("a.png").read_bytes()
    for arguments in (("a.png", "-o", "a.png"), ("a.png", "--suffix", "", "--ext", "png")):
        said = infer(*arguments, "--overwrite")
        assert said.code == 1
        assert "would replace a picture that is to be upscaled" in said.err
    assert Path("a.png").read_bytes() == before


def test_what_a_format_cannot_hold_is_said_before_any_work(infer: Infer) -> None:
    picture("in/a.png")
    Image.new("RGBA", (20, 20), (1, 2, 3, 4)).save("in/b.png")
    Image.new("I;16", (20, 20)).save("in/c.png")
    said = infer("in", "-o", "out", "--ext", "jpg")
    assert said.code == 1
    assert "JPEG holds no alpha" in said.err
    assert "JPEG holds 8 bits a sample" in said.err
    assert files("out") == {"a_x2.jpg"}
    # Both complaints stand before the first result.
    assert said.err.index("JPEG holds no alpha") < said.err.index("upscaled")
    assert len(infer.engine.sides) == 1
    assert infer("in/b.png", "-o", "b.jpg", "--background", "white").code == 0
    assert infer("in/c.png", "-o", "c.jpg", "--bits", "8").code == 0


def test_an_interruption_leaves_no_half_file_and_the_next_run_goes_on(infer: Infer) -> None:
    names = [f"in/{index}.png" for index in range(6)]
    for index, name in enumerate(names):
        picture(name, index)

    def stop(y: Array) -> Array:
        if len(infer.engine.sides) == 4:
            raise KeyboardInterrupt
        return y

    infer.engine.corrupt = stop
    said = infer("in", "-o", "out", "--json")
    assert said.code == 130
    assert said.err.splitlines()[-1].startswith("efdn-infer: interrupted: ")
    assert no_parts_in(Path("out"))
    *outcomes, last = said.lines
    assert len(outcomes) == 6
    assert last["summary"]["interrupted"] is True
    done = {Path(line["target"]).name for line in outcomes if line["status"] == "done"}
    assert files("out") == done == {"0_x2.png", "1_x2.png", "2_x2.png"}
    assert "3 not done: interrupted; --skip-existing goes on from here" in said.err
    infer.engine.corrupt = lambda y: y
    before = len(infer.engine.sides)
    again = infer("in", "-o", "out", "--skip-existing")
    assert again.code == 0, again.err
    assert len(infer.engine.sides) - before == 3
    assert len(files("out")) == 6


@pytest.mark.skipif(os.name == "nt", reason="no Ctrl-C for a child alone")
def test_ctrl_c_in_a_run_of_its_own(tmp_path: Path) -> None:
    for index in range(40):
        picture(f"in/{index:02}.png", index, 60, 60)
    command = [sys.executable, "-m", "cli.infer", "in", "-o", "out", "--json", "--engine", "onnxruntime-cpu"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        first = run.stdout.readline()
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert err.splitlines()[-1].startswith("efdn-infer: interrupted: ")
    assert "Traceback" not in err
    assert no_parts_in(Path("out"))
    *outcomes, last = (json.loads(line) for line in (first + out).splitlines())
    assert len(outcomes) == 40
    done = {Path(line["target"]).name for line in outcomes if line["status"] == "done"}
    assert files("out") == done
    assert 0 < len(done) < 40
    assert last["summary"]["cancelled"] == 40 - len(done)
    for name in done:
        with Image.open(Path("out") / name) as image:
            image.load()
            assert image.size == (240, 240)


def test_a_full_disk_leaves_what_was_there(infer: Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    picture("a.png")
    Path("a_x2.png").write_text("older")

    class Full(writing.CheckedWriter):
        def write(self, rows: Array) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writing, "CheckedWriter", Full)
    said = infer("a.png", "--overwrite")
    assert said.code == 1
    assert "cannot write a_x2.png: no space left on device" in said.err
    assert Path("a_x2.png").read_text() == "older"
    assert no_parts_in(Path())


@pytest.mark.skipif(not BINDING_PERMISSIONS, reason="permissions do not bind this user")
def test_a_read_only_folder_is_fine_to_read_from(infer: Infer) -> None:
    picture("in/a.png")
    Path("in").chmod(0o500)
    try:
        said = infer("in")
        assert said.code == 1
        assert "no permission to write" in said.err
        assert infer("in", "-o", "out").code == 0
    finally:
        Path("in").chmod(0o700)


def test_a_missing_file_among_others_is_a_failure_of_its_own(infer: Infer) -> None:
    picture("a.png")
    said = infer("a.png", "none.png")
    assert said.code == 1
    assert "no file or folder none.png" in said.err
    assert Path("a_x2.png").exists()
    alone = infer("none.png")
    assert alone.code == 1
    assert alone.err.count("\n") == 1


def test_an_error_of_the_engine_fails_its_picture_and_no_other(infer: Infer) -> None:
    for index in range(3):
        picture(f"in/{index}.png", index)

    def overflow(y: Array) -> Array:
        return y * np.float32(np.nan) if len(infer.engine.sides) == 2 else y

    infer.engine.corrupt = overflow
    said = infer("in", "-o", "out")
    assert said.code == 1
    assert "in/1.png: the engine's output has values that are not finite" in said.err.replace(os.sep, "/")
    assert files("out") == {"0_x2.png", "2_x2.png"}


def test_an_error_that_nobody_foresaw_is_told_and_the_rest_done(infer: Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(2):
        picture(f"in/{index}.png", index)
    sound = writing.open_writer

    def broken(path: Path, *arguments: object) -> object:
        if path.name.startswith("0"):
            raise KeyError("oops")
        return sound(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(picture_work, "open_writer", broken)
    said = infer("in", "-o", "out")
    assert said.code == 1
    assert "KeyError: 'oops'" in said.err
    assert files("out") == {"1_x2.png"}
